"""The same on a cluster of processes, of which one is killed."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.progress import Progress, run
from napari_pathlupi.errors import MissingExtraError, SettingsError
from napari_pathlupi.slides import open_slide
from napari_pathlupi.store import FeatureStore, SlideFacts
from napari_pathlupi.workflows.embedding import cohort_cluster
from napari_pathlupi.workflows.embedding.cohort import Order, embed_cohort_steps
from napari_pathlupi.workflows.embedding.cohort_cluster import embed_on_cluster_steps, for_workers
from napari_pathlupi.workflows.embedding.cohort_list import Entry
from napari_pathlupi.workflows.embedding.cohort_summary import Row
from napari_pathlupi.workflows.embedding.tile import tile
from quick_slides import write_quick_slide

SLIDES = 20
needs_distributed = pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra 'distributed'")
IDENTITY = patch_encoders["stain-texture"].identity


@needs_distributed
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_killed_worker_loses_nothing_and_each_slide_is_stored_once(tmp_path: Path, monkeypatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cohort_cluster, "LATER_S", 0.2)
    paths = [write_quick_slide(tmp_path / f"case-{seed:02}.tif", seed, 2, 2) for seed in range(SLIDES)]
    entries = [Entry(str(path), 0.5, f"case {seed}") for seed, path in enumerate(paths)]
    order = Order("stain-texture", str(tmp_path / "store"))
    killed: list[int] = []

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        pids = [worker.pid for worker in cluster.workers.values()]

        def kill_one(progress: Progress) -> None:
            if progress.done >= 3 and not killed:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

        rows = run(embed_on_cluster_steps(entries, order, cluster.scheduler_address), kill_one)
    assert killed
    assert [row.outcome for row in rows] == ["done"] * SLIDES, [row.reason for row in rows]
    assert [row.case for row in rows] == [entry.case for entry in entries]
    store = FeatureStore(order.store)
    stored = list(store.stored())
    assert len(stored) == len({bag.slide.fingerprint for bag in stored}) == SLIDES
    assert all(bag.done == len(bag) == 4 for bag in stored)
    assert not list(Path(order.store).glob("*/*.lock"))
    here = Order("stain-texture", str(tmp_path / "here"))
    run(embed_cohort_steps(entries[::7], here))
    for entry in entries[::7]:
        ours, theirs = (FeatureStore(o.store).bag(entry.name, IDENTITY).features for o in (here, order))
        assert np.array_equal(ours, theirs)


@needs_distributed
def test_a_slide_in_use_is_tried_again_and_a_gpu_is_asked_for_where_there_is_one(tmp_path: Path, monkeypatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cohort_cluster, "LATER_S", 0.1)
    path = write_quick_slide(tmp_path / "case.tif", 0, 2, 2)
    order = Order("stain-texture", str(tmp_path / "store"))
    with open_slide(path, mpp=0.5) as slide:
        facts = SlideFacts("case.tif", slide.fingerprint, (0.5, 0.5), "stated by the user")
        writer = FeatureStore(order.store).writer(facts, tile(slide, IDENTITY.tile_px, IDENTITY.mpp), IDENTITY)
    tried: list[str] = []
    row_of = cohort_cluster._Work._row_of

    def let_go_after_the_second_try(work, future, entry: Entry) -> Row:
        row = row_of(work, future, entry)
        tried.append(row.outcome)
        if len(tried) == 2:
            writer.close()
        return row

    monkeypatch.setattr(cohort_cluster._Work, "_row_of", let_go_after_the_second_try)
    asked: list[dict[str, float]] = []
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None, resources={"GPU": 1}) as cluster:
        steps = embed_on_cluster_steps([Entry(str(path), 0.5)], order, cluster.scheduler_address)

        def look(_: Progress) -> None:
            asked.extend(task.resource_restrictions for task in cluster.scheduler.tasks.values())

        (row,) = run(steps, look)
    assert row.outcome == "done"
    assert tried == ["in use", "in use", "done"]
    assert {"GPU": 1} in asked


@needs_distributed
def test_a_scheduler_that_does_not_answer_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cohort_cluster, "CONNECT_S", 0.3)
    steps = embed_on_cluster_steps([], Order("stain-texture", str(tmp_path / "s")), "tcp://127.0.0.1:9")
    with pytest.raises(SettingsError, match="no scheduler answers at"):
        run(steps)


def test_workers_get_whole_paths_and_addresses_to_the_letter(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    order = Order("stain-texture", "s3://bucket/store", weights="w.safetensors")
    entries, sent = for_workers([Entry("a.svs"), Entry("https://host/b.svs?token=1")], order)
    assert [entry.place for entry in entries] == [str(tmp_path / "a.svs"), "https://host/b.svs?token=1"]
    assert (sent.store, sent.weights, sent.tissue) == ("s3://bucket/store", str(tmp_path / "w.safetensors"), "")


def test_a_missing_library_is_one_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"napari-pathlupi\[distributed\]"):
        run(embed_on_cluster_steps([], Order("stain-texture", str(tmp_path / "s")), "tcp://127.0.0.1:9"))

"""Slides into a store: killed, cancelled, refused, and gone on with."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathlupi.core.progress import CancelFlag, Progress, run
from napari_pathlupi.errors import InferenceError, InUseError, OutputError, SlideError
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.store import CHUNK_TILES, FeatureStore
from napari_pathlupi.workflows.embedding.embed import EmbedConfig, embed
from napari_pathlupi.workflows.embedding.embed_store import Errand, Outcome, embed_into_store_steps
from slow_means import IDENTITY, LOADED, errand, means, prepare, write_pink

SCRIPT = """
import sys, time
from napari_pathlupi.core.progress import run
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.embedding.embed_store import embed_into_store_steps
from slow_means import IDENTITY, errand, means

def slow(tiles):
    time.sleep(0.02)
    return means(tiles)

steps = embed_into_store_steps([errand(sys.argv[1])], Loaded(slow, IDENTITY), FeatureStore(sys.argv[2]))
run(steps, lambda progress: print(progress.done, flush=True))
"""


@pytest.fixture(scope="module")
def pink(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pink(tmp_path_factory.mktemp("pink") / "pink.tif")


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features.zarr")


def embed_all(store: FeatureStore, *errands: Errand, encoder: Loaded = LOADED, **more) -> list[Outcome]:
    return run(embed_into_store_steps(errands, encoder, store, **more))


def in_memory(path: Path) -> np.ndarray:
    slide, grid = prepare(path)
    with slide:
        return embed(slide, grid, LOADED).features


def counting(tiles_seen: list[int]) -> Loaded:
    def encode(tiles: torch.Tensor) -> torch.Tensor:
        tiles_seen.append(len(tiles))
        return means(tiles)

    return Loaded(encode, IDENTITY)


def test_what_is_stored_is_what_is_embedded_in_memory_and_is_made_once(pink: Path, store: FeatureStore) -> None:
    (outcome,) = embed_all(store, errand(pink))
    bag = store.bag("pink.tif", IDENTITY)
    assert np.array_equal(bag.features, in_memory(pink))
    assert outcome.error is None
    assert outcome.stored == outcome.tiles == outcome.encoded == len(bag)
    seen: list[int] = []
    (again,) = embed_all(store, errand(pink), encoder=counting(seen))
    assert not seen
    assert (again.stored, again.encoded, again.error) == (len(bag), 0, None)
    assert not list(Path(store.place).glob("*/*.lock"))


def test_the_provenance_of_a_run_says_where_the_time_went(pink: Path, store: FeatureStore) -> None:
    embed_all(store, errand(pink))
    (entry,) = store.find("pink.tif", IDENTITY).facts["runs"]
    timing = entry["timing"]
    assert timing["device_s"] + timing["wait_s"] <= timing["elapsed_s"] + 0.01
    assert timing["tiles_per_s"] > 0
    assert entry["settings"]["precision"] == "float32"
    assert "torch" in entry["versions"]


def test_killed_at_any_moment_it_goes_on_after_the_last_chunk_to_the_same_bits(
    pink: Path, store: FeatureStore, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(pink), store.place]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) > CHUNK_TILES + 30:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert store.find("pink.tif", IDENTITY).done == CHUNK_TILES
    assert list(Path(store.place).glob("*/*.lock"))  # of the dead: taken over
    seen: list[int] = []
    embed_all(store, errand(pink), encoder=counting(seen))
    expected = in_memory(pink)
    assert sum(seen) == len(expected) - CHUNK_TILES
    assert np.array_equal(store.bag("pink.tif", IDENTITY).features, expected)


def test_cancelling_keeps_every_batch_that_was_told(pink: Path, store: FeatureStore) -> None:
    cancel = CancelFlag()

    def stop(progress: Progress) -> None:
        if progress.done >= 100:
            cancel.set()

    outcomes = run(embed_into_store_steps([errand(pink), errand(pink)], LOADED, store, cancel=cancel), stop)
    assert [o.stored for o in outcomes if o.error is None] == [104]
    assert store.find("pink.tif", IDENTITY).done == 104
    seen: list[int] = []
    embed_all(store, errand(pink), encoder=counting(seen))
    assert sum(seen) == len(store.bag("pink.tif", IDENTITY)) - 104
    assert np.array_equal(store.bag("pink.tif", IDENTITY).features, in_memory(pink))


def test_a_second_writer_of_the_same_slide_is_told_and_the_rest_goes_on(
    pink: Path, store: FeatureStore, tmp_path
) -> None:
    other = write_pink(tmp_path / "other.tif", 4, 5, seed=1)
    steps = embed_into_store_steps([errand(pink)], LOADED, store)
    next(steps)
    first, second = embed_all(store, errand(pink), errand(other))
    assert isinstance(first.error, InUseError)
    assert second.error is None
    run(steps)
    assert np.array_equal(store.bag("pink.tif", IDENTITY).features, in_memory(pink))


def test_the_next_slide_is_prepared_while_one_is_encoded(pink: Path, store: FeatureStore, tmp_path: Path) -> None:
    other = write_pink(tmp_path / "other.tif", 4, 5, seed=1)
    prepared, was_prepared = threading.Event(), []

    def noticed():
        prepared.set()
        return prepare(other)

    def encode(tiles: torch.Tensor) -> torch.Tensor:
        was_prepared.append(prepared.wait(5))
        return means(tiles)

    outcomes = embed_all(store, errand(pink), Errand("other", noticed), encoder=Loaded(encode, IDENTITY))
    assert was_prepared[0]
    assert [o.error for o in outcomes] == [None, None]


def test_slides_that_fail_are_told_and_cost_no_other(pink: Path, store: FeatureStore, tmp_path, monkeypatch) -> None:
    broken = write_pink(tmp_path / "broken.tif", 24, 25, seed=2)
    data = bytearray(broken.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    broken.write_bytes(data)
    steps = embed_into_store_steps([errand("nowhere.tif"), errand(broken), errand(pink)], LOADED, store)
    told: list[Outcome] = []
    outcomes = run(steps, lambda p: told.append(p.partial) if p.partial else None)
    assert told == outcomes
    by_name = {o.name: o for o in outcomes}
    assert "there is no file" in str(by_name["nowhere.tif"].error)
    assert isinstance(by_name["broken.tif"].error, SlideError)
    assert 0 < by_name["broken.tif"].stored < by_name["broken.tif"].tiles
    assert by_name["pink.tif"].error is None


def test_a_device_that_fails_ends_it_and_keeps_what_was_done(pink: Path, store: FeatureStore) -> None:
    seen: list[int] = []

    def fails_later(tiles: torch.Tensor) -> torch.Tensor:
        seen.append(len(tiles))
        if len(seen) > 40:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return means(tiles)

    with pytest.raises(InferenceError, match="illegal memory access"):
        embed_all(store, errand(pink), encoder=Loaded(fails_later, IDENTITY))
    assert store.find("pink.tif", IDENTITY).done >= CHUNK_TILES
    embed_all(store, errand(pink))
    assert np.array_equal(store.bag("pink.tif", IDENTITY).features, in_memory(pink))


def test_a_disk_that_fills_up_ends_it_and_the_next_run_goes_on(pink: Path, store: FeatureStore, monkeypatch) -> None:
    from zarr.storage import _local

    put, chunks = _local._put, []

    def fills_up(path: Path, *more, **named):
        if "features" in path.parts:
            chunks.append(path)
            if len(chunks) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        return put(path, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(_local, "_put", fills_up)
        with pytest.raises(OutputError, match="the disk is full"):
            embed_all(store, errand(pink))
    assert store.find("pink.tif", IDENTITY).done == CHUNK_TILES
    embed_all(store, errand(pink))
    assert np.array_equal(store.bag("pink.tif", IDENTITY).features, in_memory(pink))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_really_full_disk(pink: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        store = FeatureStore(disk / "features.zarr")
        (disk / "filler").write_bytes(bytes(24 * 1024))
        with pytest.raises(OutputError, match="the disk is full"):
            embed_all(store, errand(pink))
        (disk / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        embed_all(store, errand(pink))
        assert np.array_equal(store.bag("pink.tif", IDENTITY).features, in_memory(pink))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_chunks_do_not_depend_on_the_batch(pink: Path, store: FeatureStore, batch_size: int) -> None:
    embed_all(store, errand(pink), config=EmbedConfig(batch_size=batch_size))
    assert np.allclose(store.bag("pink.tif", IDENTITY).features, in_memory(pink), rtol=1e-6)

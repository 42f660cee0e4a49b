"""Cohorts: every file has an outcome and a reason, and what is done is not done again."""

import csv
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.cli import main
from napari_pathlupi.core.progress import CancelFlag, Progress, run
from napari_pathlupi.errors import SettingsError, TableError
from napari_pathlupi.store import FeatureStore
from napari_pathlupi.workflows.device import choose_device
from napari_pathlupi.workflows.embedding import cohort, engine
from napari_pathlupi.workflows.embedding.cohort import CohortConfig, Order, embed_cohort_steps
from napari_pathlupi.workflows.embedding.cohort_list import Entry, list_slides
from napari_pathlupi.workflows.embedding.engine import choose_engine
from quick_networks import small_convolution
from quick_slides import write_quick_slide

IDENTITY = patch_encoders["stain-texture"].identity


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two slides, a copy of one, glass, and what is no slide."""
    folder = tmp_path_factory.mktemp("slides")
    write_quick_slide(folder / "a.tif", 1)
    (folder / "more").mkdir()
    write_quick_slide(folder / "more" / "b.tif", 2)
    shutil.copy(folder / "a.tif", folder / "more" / "copy of a.tif")
    write_quick_slide(folder / "glass.tif", 3, 0, 2)
    (folder / "broken.svs").write_bytes(b"II*\0nothing")
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.tif").write_text("nothing")
    return folder


def summary(store: Path) -> dict[str, dict[str, str]]:
    with (store / "summary.csv").open(newline="") as file:
        return {Path(row["slide"]).name: row for row in csv.DictReader(file)}


def embedded(places: list[str], store: Path, **config) -> dict[str, dict[str, str]]:
    order = Order("stain-texture", str(store), CohortConfig(**config))
    entries = [Entry(e.place, e.mpp or 0.5, e.case, e.problem) for e in list_slides(places, str(store))]
    run(embed_cohort_steps(entries, order))
    return summary(store)


def test_every_file_of_a_folder_has_an_outcome_and_a_reason(slides: Path, tmp_path: Path) -> None:
    rows = embedded([str(slides)], tmp_path / "store")
    assert {path.name for path in slides.rglob("*") if path.is_file()} == set(rows)
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "a.tif": "done",
        "b.tif": "done",
        "copy of a.tif": "done",
        "glass.tif": "skipped",
        "broken.svs": "failed",
        "notes.txt": "skipped",
        ".hidden.tif": "skipped",
    }
    assert all(row["reason"] for name, row in rows.items() if name not in ("a.tif", "b.tif"))
    assert "held all of it" in rows["copy of a.tif"]["reason"]
    assert "No tissue" in rows["glass.tif"]["reason"]
    assert rows["a.tif"]["fingerprint"] == rows["copy of a.tif"]["fingerprint"]
    stored = list(FeatureStore(tmp_path / "store").stored())
    assert len(stored) == 2 and all(bag.done == len(bag) == 9 for bag in stored)


def test_a_second_run_encodes_nothing_again(slides: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    embedded([str(slides / "a.tif")], store)
    before = FeatureStore(store).bag("a.tif", IDENTITY).features
    rows = embedded([str(slides / "a.tif"), str(slides / "more" / "b.tif")], store)
    assert (rows["a.tif"]["encoded"], rows["b.tif"]["encoded"]) == ("0", "9")
    assert np.array_equal(before, FeatureStore(store).bag("a.tif", IDENTITY).features)


def test_a_table_states_scale_and_case_from_its_own_folder(slides: Path, tmp_path: Path) -> None:
    table = slides / "cohort.csv"
    table.write_text("slide,mpp,case\na.tif,0.5,Patient 1\nmore/b.tif,,Patient 2\nabsent.svs,0.25,Patient 3\n")
    entries = list_slides([str(table)])
    assert [(e.name, e.mpp, e.case) for e in entries] == [
        ("a.tif", 0.5, "Patient 1"),
        ("b.tif", None, "Patient 2"),
        ("absent.svs", 0.25, "Patient 3"),
    ]
    assert main(["embed", str(table), "--out", str(tmp_path / "store")]) == 2  # two of them fail
    rows = summary(tmp_path / "store")
    assert (rows["a.tif"]["outcome"], rows["a.tif"]["case"]) == ("done", "Patient 1")
    assert "does not say how large a pixel is" in rows["b.tif"]["reason"]
    assert "there is no file" in rows["absent.svs"]["reason"]
    table.unlink()


def test_a_table_of_a_spreadsheet_and_of_trident_is_read(tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("wsi,mpp\na.svs,0.25\n,0.5\n", encoding="utf-8-sig")
    assert [(e.name, e.mpp, e.problem) for e in list_slides([str(table)])] == [
        ("a.svs", 0.25, ""),
        ("cohort.csv", 0.5, "line 3 names no slide"),
    ]


@pytest.mark.parametrize(
    ("text", "words"), [("file\na.svs\n", "no column 'slide'"), ("slide,mpp\na.svs,20x\n", "is no number"), ("", "CSV")]
)
def test_a_table_that_cannot_be_used_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cohort.csv").write_text(text)
    with pytest.raises(TableError, match=words):
        list_slides([str(tmp_path / "cohort.csv")])


def test_globs_folders_and_repetitions(slides: Path, tmp_path: Path) -> None:
    entries = list_slides([str(slides / "**" / "*.tif"), str(slides / "a.tif"), str(slides / "*.none")])
    problems = {(entry.name, entry.problem) for entry in entries}
    assert ("b.tif", "") in problems
    assert ("a.tif", "named twice in this list") in problems
    assert ("*.none", "nothing has a name like this") in problems
    (tmp_path / "case.mrxs").touch()
    for name in ("case", "dicom", "stored.ome.zarr"):
        (tmp_path / name).mkdir()
    (tmp_path / "dicom" / "1.dcm").touch()
    (tmp_path / "picture.png").touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = {entry.name: entry.problem for entry in list_slides([str(tmp_path)])}
    assert found == {
        "case": "part of case.mrxs",
        "case.mrxs": "",
        "dicom": "",
        "loop": "leads back to a folder that it is in",
        "picture.png": "a plain picture: name it itself to embed it",
        "stored.ome.zarr": "",
    }


def test_addresses_are_listed_and_their_secrets_are_not(slides: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/cohort/a.tif", (slides / "a.tif").read_bytes())
    memory.pipe_file("/cohort/read.me", b"nothing")
    entries = list_slides(["memory://cohort/", "memory://cohort/*.tif", "https://host/b.svs?token=secret"])
    assert [(e.name, bool(e.problem)) for e in entries] == [
        ("a.tif", False),
        ("read.me", True),
        ("a.tif", True),
        ("b.svs", False),
    ]
    assert entries[3].shown == "https://host/b.svs"
    assert entries[3].place.endswith("secret")
    order = Order("stain-texture", "memory://features.zarr")
    (row,) = run(embed_cohort_steps([Entry(entries[0].place, 0.5)], order))
    assert row.outcome == "done", row.reason
    assert b"a.tif" in memory.cat_file("/features.zarr/summary.csv")
    assert len(FeatureStore("memory://features.zarr").bag("a.tif", IDENTITY)) == 9


def test_stopping_keeps_what_was_encoded_and_lists_what_was_not(slides: Path, tmp_path: Path) -> None:
    store, cancel = tmp_path / "store", CancelFlag()
    entries = [Entry(str(slides / name), 0.5) for name in ("a.tif", "more/b.tif", "glass.tif")]
    steps = embed_cohort_steps(entries, Order("stain-texture", str(store), CohortConfig(batch_size=4)), cancel)

    def stop(progress: Progress) -> None:
        if progress.done:
            cancel.set()

    rows = run(steps, stop)
    assert rows[0].outcome == "stopped" and "run the same again" in rows[0].reason
    assert rows[2].outcome in ("stopped", "skipped")
    assert [row["outcome"] for row in summary(store).values()] == [row.outcome for row in rows]
    embedded([str(slides / "a.tif")], store)
    assert FeatureStore(store).find("a.tif", IDENTITY).done == 9


def test_the_command_says_what_became_of_all(slides: Path, tmp_path: Path, capsys) -> None:
    arguments = ["embed", str(slides / "a.tif"), str(slides / "broken.svs"), "--mpp", "0.5", "--out"]
    assert main([*arguments, str(tmp_path / "store"), "--encoder", "stain-texture"]) == 2
    said = capsys.readouterr()
    assert "1 done, 1 failed" in said.out
    assert "1 of 2 slides failed: summary.csv says why" in said.err
    assert main([*arguments, str(tmp_path / "store"), "--encoder", "stain-textur"]) == 2
    assert "did you mean 'stain-texture'" in capsys.readouterr().err


def test_tissue_may_be_outlined_in_a_folder_of_files(slides: Path, tmp_path: Path) -> None:
    ring = [[0, 0], [512, 0], [512, 256], [0, 256], [0, 0]]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    order = Order("stain-texture", str(tmp_path / "store"), tissue=str(tmp_path))
    outlined, other = run(embed_cohort_steps([Entry(str(slides / n), 0.5) for n in ("a.tif", "more/b.tif")], order))
    assert (outlined.outcome, outlined.tiles) == ("done", 2)
    assert other.outcome == "failed" and "b.geojson" in other.reason


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs the extra 'cpu-engine'")
def test_how_alike_the_engines_are_stands_in_summary_and_store(slides: Path, tmp_path: Path, monkeypatch) -> None:
    before = small_convolution()
    after = choose_engine(before, "openvino", choose_device("cpu"))
    monkeypatch.setattr(cohort, "_encoders", lambda order: (before, after))
    rows = embedded([str(slides / "a.tif")], tmp_path / "store")
    assert "OpenVINO against torch on the first 8 tiles: cosine at least 1.0000000" in rows["a.tif"]["reason"]
    (stored,) = FeatureStore(tmp_path / "store").stored()
    settings = stored.facts["runs"][0]["settings"]
    assert settings["engine"] == "openvino" and settings["engine_agreement"]["cosine"] > 0.9999
    monkeypatch.setattr(engine, "LEAST_COSINE", 1.1)
    rows = embedded([str(slides / "more" / "b.tif")], tmp_path / "store")
    assert rows["b.tif"]["outcome"] == "failed" and "choose the engine torch" in rows["b.tif"]["reason"]


def test_plane_and_scene_are_those_asked_for(slides: Path, tmp_path: Path) -> None:
    command = ["embed", str(slides / "a.tif"), "-o", str(tmp_path / "store"), "--mpp", "0.5"]
    assert main([*command, "--scene", "3"]) == 2
    assert "scene 3" in summary(tmp_path / "store")["a.tif"]["reason"]
    assert main([*command, "--scene", "0"]) == 0
    assert summary(tmp_path / "store")["a.tif"]["outcome"] == "done"


def test_settings_that_cannot_be_are_told() -> None:
    with pytest.raises(SettingsError, match="a share between 0 and 1"):
        CohortConfig(min_coverage=50)

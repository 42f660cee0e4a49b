"""Tasks of Patho-Bench from their folders."""

import re
from pathlib import Path

import numpy as np
import pytest

from downstream_data import CLASSES, EVENTS, NAMES, TIMES, VECTORS, write_pooled, write_rows, write_task
from napari_pathlupi.errors import PathlupiError, TableError
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.embeddings import read_embeddings
from napari_pathlupi.workflows.downstream.patho_bench import read_task, tasks_below
from napari_pathlupi.workflows.downstream.probing import probe

FEW = ProbeSettings(resamples=100)


def test_a_classification_brings_its_classes_in_order_its_split_and_its_measure(tmp_path: Path) -> None:
    task = read_task(write_task(tmp_path))
    cases, folds = task.cases(read_embeddings(write_pooled(tmp_path / "pooled")))
    assert task.name == "nadt--response"
    assert task.samples == len(cases) == 60
    assert cases.endpoint.classes == ("luminal", "basal", "her2")
    np.testing.assert_array_equal(cases.classes, CLASSES)
    assert folds is not None and len(folds) == 3
    np.testing.assert_array_equal(folds.test(1), np.flatnonzero(np.arange(60) // 3 % 3 == 1))
    report = probe(cases, folds, FEW)
    assert task.counted(report) == "AUROC (macro one-vs-rest)"


def test_names_of_classes_may_stand_in_the_table_instead_of_their_numbers(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    table = folder / "k=all.tsv"
    for number, name in enumerate(("luminal", "basal", "her2")):
        table.write_text(re.sub(rf"(?m)^([^\t]+\t[^\t]+\t){number}\t", rf"\g<1>{name}\t", table.read_text()))
    assert "\tbasal\t" in table.read_text()
    cases, _ = read_task(folder).cases(read_embeddings(write_pooled(tmp_path / "pooled")))
    np.testing.assert_array_equal(cases.classes, CLASSES)


def test_a_survival_is_read_from_its_event_and_days_not_from_its_bins(tmp_path: Path) -> None:
    task = read_task(write_task(tmp_path, "cptac_luad", "OS", survival=True))
    cases, folds = task.cases(read_embeddings(write_pooled(tmp_path / "pooled")))
    np.testing.assert_array_equal(cases.classes.astype(bool), EVENTS)
    np.testing.assert_allclose(cases.times, TIMES.round())
    assert task.counted(probe(cases, folds, FEW)) == "C-index"


def test_slides_stand_for_themselves_where_the_task_says_so(tmp_path: Path) -> None:
    folder = write_task(tmp_path, "bracs", "slidelevel_fine")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("sample_col: case_id", "sample_col: slide_id"))
    pooled = write_pooled(tmp_path / "pooled", [f"{n}-{s}" for n in NAMES for s in "AB"], np.repeat(VECTORS, 2, axis=0))
    cases, folds = read_task(folder).cases(read_embeddings(pooled))
    assert len(cases) == 120
    assert set(cases.patients) == set(NAMES)
    assert folds is not None and len(folds.test(0)) == 42


def test_all_tasks_below_a_folder_are_found(tmp_path: Path) -> None:
    for source, task in (("nadt", "response"), ("bcnb", "er"), ("bcnb", "her2")):
        write_task(tmp_path, source, task)
    assert [task.name for task in tasks_below(tmp_path)] == ["bcnb--er", "bcnb--her2", "nadt--response"]


def _no_config(folder: Path) -> None:
    (folder / "config.yaml").unlink()


def _damaged(folder: Path) -> None:
    (folder / "config.yaml").write_text("task_col: [")


def _runs_code(folder: Path) -> None:
    (folder / "config.yaml").write_text("task_col: !!python/object/apply:os.getcwd []")


def _empty(folder: Path) -> None:
    (folder / "config.yaml").write_text("")


def _odd_kind(folder: Path) -> None:
    (folder / "config.yaml").write_text("task_col: response\ntask_type: segmentation")


def _odd_sample(folder: Path) -> None:
    (folder / "config.yaml").write_text("task_col: response\nsample_col: block_id")


def _odd_names(folder: Path) -> None:
    (folder / "config.yaml").write_text("task_col: response\nlabel_dict: {a: 1}")


def _odd_part(folder: Path) -> None:
    rows = [["a", "a1", 0, "train"], ["b", "b1", 1, "exam"]]
    write_rows(folder / "k=all.tsv", ["case_id", "slide_id", "response", "fold_0"], rows, "\t")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_config, "it must stand beside k=all.tsv"),
        (_damaged, "cannot read"),
        (_runs_code, "cannot read"),
        (_empty, "holds no settings"),
        (_odd_kind, "task_type 'segmentation' is not known"),
        (_odd_sample, "sample_col 'block_id' is not known"),
        (_odd_names, "label_dict must give a name"),
        (_odd_part, "'exam' is none of train, val and test"),
    ],
)
def test_a_spoilt_task_is_refused_in_one_sentence_and_no_code_runs(spoil, words: str, tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    spoil(folder)
    with pytest.raises(TableError, match=words):
        read_task(folder).cases(read_embeddings(write_pooled(tmp_path / "pooled", ["a", "b"], VECTORS[:2])))


def test_a_folder_without_tasks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathlupiError, match="holds no task of Patho-Bench"):
        tasks_below(tmp_path)

"""What a fold may know: its own training cases, and nothing of the cases that it is tested on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.bundle import load_bundle
from napari_pathlupi.core.progress import run
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.workflows.prediction.features import features_of, predict_bag
from napari_pathlupi.workflows.training.score_cohort import score_cohort
from napari_pathlupi.workflows.training.study import train_study
from napari_pathlupi.workflows.training.study_config import StudyConfig
from napari_pathlupi.workflows.training.study_data import study_data_steps
from napari_pathlupi.workflows.training.study_file import read_study
from quick_study import write_study

STATED = Stated(encoder="planted", mpp=0.5, tile_px=256)
TASKS = {
    "classification": ("label", ['task.settings={ weights = "balanced" }']),
    "survival": ("survival", ["task.settings={ bins = 3 }"]),
    "regression": ("survival", ["task.name=regression", "task.settings={}", 'task.event=""', "task.unit=months"]),
}


def a_study(folder: Path, kind: str) -> Path:
    """The file of a study whose table states two folds."""
    file = write_study(folder, unlabelled=0, without_rna=0, endpoint=TASKS[kind][0])
    table = pd.read_csv(folder / "cohort.csv", dtype=str).assign(fold=[i // 2 % 2 for i in range(30)])
    if kind == "classification":
        table.loc[::5, "label"] = "A"
    table.to_csv(folder / "cohort.csv", index=False)
    return file


def settings_of(file: Path, kind: str, *changes: str) -> StudyConfig:
    return read_study(file, [*TASKS[kind][1], 'expression.table=""', "training.steps=6", *changes])


@pytest.fixture(scope="module", params=list(TASKS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def study(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a study that was trained."""
    file = a_study(tmp_path_factory.mktemp(kind), kind)
    train_study(settings_of(file, kind))
    return file


def test_labels_of_test_cases_change_no_weight_of_a_model_and_nothing_that_it_says(study: Path, kind: str) -> None:
    folder = study.parent
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    tested = table["fold"] == "0"
    column = "label" if kind == "classification" else "months"
    table.loc[tested, column] = table.loc[tested, column].to_numpy()[::-1]
    table.loc[table.index[tested][0], column] = "B" if kind == "classification" else "999"
    table.to_csv(folder / "other.csv", index=False)
    again = train_study(settings_of(study, kind, 'cohort.table="other.csv"', f'run.out="{folder / "again"}"'))
    before, after = (load_bundle(place / "model") for place in (folder / "run", again))
    same = {
        name: np.array_equal(tensor, after.tensors[name])
        for name, tensor in before.tensors.items()
        if "reference" not in name
    }
    assert all(same[name] for name in same if name.startswith("0/")), same
    assert not all(same[name] for name in same if name.startswith("1/"))  # learned from them
    told = [pd.read_csv(place / "predictions.csv").query("fold == 0") for place in (folder / "run", again)]
    column = {"classification": "prob_A", "survival": "risk", "regression": "value_months"}[kind]
    np.testing.assert_allclose(told[0][column], told[1][column], rtol=1e-9)


def test_the_folds_of_a_study_answer_together_in_one_task(study: Path, kind: str) -> None:
    bundle = load_bundle(study.parent / "run/model")
    fits = bundle.card.task.settings
    if kind == "classification":
        assert fits["weights"] == "balanced"
    else:
        first, second = fits["members" if kind == "survival" else "means"]
        assert first != second
    answer = predict_bag(features_of(study.parent / "features/case-003.h5", stated=STATED), bundle).answer
    assert len(answer.folds) == 2
    alone = score_cohort(bundle, study.parent / "cohort.csv", study.parent / "features", stated=STATED)
    of_case = alone[alone["case_id"] == "case-003"]
    if kind == "survival":
        curves = of_case[[name for name in alone if name.startswith("survival_")]].to_numpy()
        np.testing.assert_allclose(answer.folds, curves, rtol=1e-5)
        np.testing.assert_allclose(
            [*answer.survival, answer.risk], [*curves.mean(0), of_case["risk"].mean()], rtol=1e-5
        )
        assert answer.times[-1] == pd.read_csv(study.parent / "run/cohort.csv")["time"].max()
        predictions = pd.read_csv(study.parent / "run/predictions.csv")
        assert predictions.notna().all(axis=None)  # the same times in every row
    elif kind == "regression":
        np.testing.assert_allclose(answer.values[0], of_case["value_months"].mean(), rtol=1e-5)


def test_a_fold_that_cannot_be_learned_from_is_named(tmp_path: Path) -> None:
    file = a_study(tmp_path, "classification")
    table = pd.read_csv(tmp_path / "cohort.csv", dtype=str)
    table["label"] = np.where(table["fold"] == "0", np.where(np.arange(len(table)) % 2, "A", "B"), "A")
    table.to_csv(tmp_path / "cohort.csv", index=False)
    with pytest.raises(MismatchError, match=r"fold 0 has too little to learn from: all 1. labelled cases are A"):
        run(study_data_steps(settings_of(file, "classification", "folds.validation=0")))


def test_a_class_that_a_fold_never_sees_and_few_events_are_said(tmp_path: Path) -> None:
    file = a_study(tmp_path / "classes", "classification")
    table = pd.read_csv(file.parent / "cohort.csv", dtype=str)
    table.loc[table.index[:2], "label"] = "C"  # both tested by fold 0
    table.to_csv(file.parent / "cohort.csv", index=False)
    notes = run(study_data_steps(settings_of(file, "classification", "folds.validation=0"))).notes
    assert any("which they never say: fold 0 none of C. Set fewer folds" in note for note in notes), notes
    file = a_study(tmp_path / "times", "survival")
    table = pd.read_csv(file.parent / "cohort.csv", dtype=str)
    table["died"] = (np.arange(len(table)) % 3 == 0).astype(int)
    table.to_csv(file.parent / "cohort.csv", index=False)
    notes = run(study_data_steps(settings_of(file, "survival", "folds.validation=0"))).notes
    assert any("learn from fewer than 10 events (one from" in note for note in notes), notes

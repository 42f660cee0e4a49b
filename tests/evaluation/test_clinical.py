"""The baseline of clinical columns, beside the partial likelihood written out."""

import numpy as np
import pytest
from scipy.optimize import minimize

from napari_pathlupi.errors import MismatchError
from napari_pathlupi.evaluation.clinical import RIDGE, ClinicalColumn, clinical_baseline
from napari_pathlupi.evaluation.predicted import Survived
from napari_pathlupi.evaluation.scoring import Predictions, ScoreConfig, compare

RNG = np.random.default_rng(5)
CASES = 120
AGE = RNG.normal(60, 10, CASES)
STAGE = [("I", "II", "III")[k] for k in RNG.integers(0, 3, CASES)]
HIGH = np.array([kind == "III" for kind in STAGE])
TIMES = RNG.exponential(np.exp(-0.08 * (AGE - 60) - 1.2 * HIGH)) + 1e-3 * np.arange(CASES)  # no ties
EVENTS = RNG.random(CASES) < 0.8
COLUMNS = [ClinicalColumn("age", AGE), ClinicalColumn("stage", STAGE)]


def predictions(folds: int = 3) -> Predictions:
    group = np.arange(CASES) % folds
    told = Survived(TIMES, EVENTS, RNG.normal(size=CASES), group)
    return Predictions(tuple(f"P{k}" for k in range(CASES)), tuple(map(str, group)), told)


def test_the_risks_of_a_fold_are_those_of_the_partial_likelihood_of_the_others():
    found, notes = clinical_baseline(predictions(), COLUMNS)
    test = np.arange(CASES) % 3 == 1
    kinds = sorted(
        {"I", "II", "III"}, key=lambda kind: -sum(k == kind for k, t in zip(STAGE, test, strict=True) if not t)
    )
    coded = np.stack(
        [(AGE - AGE[~test].mean()) / AGE[~test].std(), *(np.array(STAGE) == kind for kind in kinds[1:])], axis=1
    )

    def surprise(weight: np.ndarray) -> float:
        total = RIDGE * (weight**2).sum() / 2
        for case in np.flatnonzero(EVENTS & ~test):
            watched = coded[~test & (TIMES[case] <= TIMES)]
            total -= coded[case] @ weight - np.log(np.exp(watched @ weight).sum())
        return float(total)

    weight = minimize(surprise, np.zeros(3), method="BFGS").x
    assert found.told.risks[test] == pytest.approx(coded[test] @ weight, abs=1e-3)
    assert notes == ("Clinical columns: Cox's model of age, stage, fitted for each fold on the cases of the others.",)


def test_nothing_of_a_case_reaches_the_model_that_judges_it():
    before, _ = clinical_baseline(predictions(), COLUMNS)
    test = np.arange(CASES) % 3 == 0
    told = Survived(np.where(test, TIMES[::-1], TIMES), EVENTS, np.zeros(CASES), np.arange(CASES) % 3)
    after, _ = clinical_baseline(Predictions(predictions().cases, predictions().folds, told), COLUMNS)
    assert np.array_equal(before.told.risks[test], after.told.risks[test])


def test_columns_that_tell_beat_risks_that_do_not():
    against = compare(clinical_baseline(predictions(), COLUMNS)[0], predictions(), ScoreConfig(300))
    assert against.differences["C-index"].gap.low > 0


def test_what_is_unknown_counts_as_average_and_is_told():
    gaps = ClinicalColumn("age", np.where(np.arange(CASES) < 6, np.nan, AGE))
    found, notes = clinical_baseline(predictions(), [gaps])
    assert "age is unknown in 6 of 120 cases, which count as average." in notes
    assert found.told.risks[:6] == pytest.approx(np.zeros(6), abs=1e-9)


def test_a_column_that_is_the_same_everywhere_is_told_and_changes_nothing():
    found, notes = clinical_baseline(predictions(), [*COLUMNS, ClinicalColumn("country", ["NL"] * CASES)])
    alone = clinical_baseline(predictions(), COLUMNS)[0]
    assert np.array_equal(found.told.risks, alone.told.risks)
    assert any(note.startswith("country is the same everywhere") for note in notes)


def test_what_cannot_be_compared_is_told():
    one = predictions(1)
    with pytest.raises(MismatchError, match="one of several folds"):
        clinical_baseline(one, COLUMNS)
    with pytest.raises(MismatchError, match="is the same everywhere: name another"):
        clinical_baseline(predictions(), [ClinicalColumn("sex", ["f"] * CASES)])

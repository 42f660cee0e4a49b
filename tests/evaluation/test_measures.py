import numpy as np
import pytest
from sklearn import metrics
from sksurv.metrics import concordance_index_censored

from napari_pathlupi.evaluation import measures

RNG = np.random.default_rng(0)
CASES, CLASSES = 120, 4
LABELS = RNG.integers(0, CLASSES, CASES)
CHANCES = RNG.dirichlet(np.ones(CLASSES) * 0.6, CASES) * 0.6 + np.eye(CLASSES)[LABELS] * 0.4
COARSE = CHANCES.round(1)  # many ties
SAID = CHANCES.argmax(1)
ASKED = 5
COUNTS = np.concatenate([np.ones((1, CASES)), RNG.multinomial(CASES, np.full(CASES, 1 / CASES), ASKED - 1)])
DRAWN = [np.repeat(np.arange(CASES), row.astype(int)) for row in COUNTS]


def agree(found, of_rows) -> None:
    np.testing.assert_allclose(found, [of_rows(rows) for rows in DRAWN], rtol=1e-9)


@pytest.mark.parametrize(
    "scores", [CHANCES[:, 1], COARSE[:, 1], np.zeros(CASES)], ids=["all differ", "ties", "all tied"]
)
def test_areas_are_those_of_scikit_learn_in_every_resample(scores):
    positive = LABELS == 1
    agree(measures.auroc(positive, scores, COUNTS), lambda rows: metrics.roc_auc_score(positive[rows], scores[rows]))
    agree(
        measures.average_precision(positive, scores, COUNTS),
        lambda rows: metrics.average_precision_score(positive[rows], scores[rows]),
    )


def test_what_follows_from_the_confusion_is_as_scikit_learn_has_it():
    table = measures.confusion(LABELS, SAID, CLASSES, COUNTS)
    for row, rows in zip(table, DRAWN, strict=True):
        assert np.array_equal(row, metrics.confusion_matrix(LABELS[rows], SAID[rows], labels=range(CLASSES)))
    agree(measures.balanced_accuracy(table), lambda r: metrics.balanced_accuracy_score(LABELS[r], SAID[r]))
    agree(measures.macro_f1(table), lambda r: metrics.f1_score(LABELS[r], SAID[r], average="macro"))
    agree(measures.kappa(table), lambda r: metrics.cohen_kappa_score(LABELS[r], SAID[r]))
    agree(measures.kappa(table, True), lambda r: metrics.cohen_kappa_score(LABELS[r], SAID[r], weights="quadratic"))


def test_the_brier_score_is_the_sum_over_classes_and_of_two_that_of_the_second():
    truth = np.eye(CLASSES)[LABELS]
    agree(measures.brier(LABELS, CHANCES, COUNTS), lambda r: ((CHANCES[r] - truth[r]) ** 2).sum(1).mean())
    two = np.stack([1 - CHANCES[:, 1], CHANCES[:, 1]], axis=1)
    second = (LABELS == 1).astype(np.int64)
    agree(measures.brier(second, two, COUNTS), lambda r: metrics.brier_score_loss(second[r], two[r, 1]))


def test_the_calibration_error_is_the_gap_between_sureness_and_hits():
    def by_hand(rows):
        sure, right = CHANCES[rows].max(1), SAID[rows] == LABELS[rows]
        bins = np.digitize(sure, np.linspace(0, 1, 11)[1:-1])
        return sum(abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins))

    agree(measures.calibration_error(LABELS, CHANCES, COUNTS), by_hand)
    exact = np.tile([0.7, 0.3], (10, 1))
    labels = np.array([0] * 7 + [1] * 3)
    assert measures.calibration_error(labels, exact, np.ones((1, 10)))[0] == pytest.approx(0)


@pytest.mark.parametrize("digits", [1, 9], ids=["ties", "no ties"])
def test_the_concordance_is_that_of_scikit_survival_in_every_resample(digits):
    times, events = RNG.exponential(5, CASES).round(digits) + 0.1, RNG.random(CASES) < 0.5
    risks = (RNG.normal(size=CASES) - 0.3 * np.log(times)).round(digits)
    one = np.zeros(CASES, np.int64)
    agree(
        measures.concordance(times, events, risks, one, COUNTS),
        lambda r: concordance_index_censored(events[r], times[r], risks[r])[0],
    )


def test_only_cases_of_one_group_are_compared():
    times, events = np.array([1.0, 2, 1, 2]), np.ones(4, bool)
    risks, groups = np.array([2.0, 1, 9, 8]), np.array([0, 0, 1, 1])
    assert measures.concordance(times, events, risks, groups, np.ones((1, 4)))[0] == 1
    assert measures.concordance(times, events, risks, groups * 0, np.ones((1, 4)))[0] < 1


def test_values_are_scored_as_scikit_learn_scores_them():
    truth = RNG.normal(50, 5, CASES)
    said = truth + RNG.normal(0, 4, CASES)
    agree(measures.absolute_error(truth, said, COUNTS), lambda r: metrics.mean_absolute_error(truth[r], said[r]))
    agree(measures.explained(truth, said, COUNTS), lambda r: metrics.r2_score(truth[r], said[r]))
    agree(measures.correlation(truth, said, COUNTS), lambda r: np.corrcoef(truth[r], said[r])[0, 1])


def test_what_cannot_be_said_is_nan_and_no_warning():
    nobody = np.zeros(CASES, bool)
    assert np.isnan(measures.auroc(nobody, CHANCES[:, 0], COUNTS)).all()
    assert np.isnan(measures.average_precision(nobody, CHANCES[:, 0], COUNTS)).all()
    assert np.isnan(measures.concordance(np.ones(CASES), nobody, CHANCES[:, 0], LABELS, COUNTS)).all()
    one = measures.confusion(LABELS * 0, SAID * 0, CLASSES, COUNTS)
    assert np.isnan(measures.kappa(one)[0]) or measures.kappa(one)[0] <= 1
    assert measures.balanced_accuracy(one)[0] == 1

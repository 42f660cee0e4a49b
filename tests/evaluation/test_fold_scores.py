"""Means over folds and their intervals, against scikit-learn, by hand and by their meaning."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, mutual_info_score, roc_auc_score

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation.fold_scores import Clustered, FoldScores, Retrieved, classified, summarise, survived
from napari_pathlupi.evaluation.scoring import ScoreConfig

RNG = np.random.default_rng(0)
CONFIG = ScoreConfig(200)


def _folds(cases: int = 90, folds: int = 3) -> tuple[np.ndarray, list[FoldScores], np.ndarray]:
    labels = np.arange(cases) % 2
    chances = np.clip(0.5 + 0.3 * (labels - 0.5) + RNG.normal(0, 0.2, cases), 0, 1)
    probabilities = np.stack([1 - chances, chances], axis=1)
    parts = np.array_split(RNG.permutation(cases), folds)
    tested = [
        FoldScores(k, rows, classified(("a", "b"), labels[rows], probabilities[rows])[0])
        for k, rows in enumerate(parts)
    ]
    return labels, tested, chances


def test_the_value_is_the_mean_of_the_folds_as_scikit_learn_scores_them() -> None:
    labels, tested, chances = _folds()
    patients = np.array([f"p{i}" for i in range(90)])
    area = next(row for row in summarise(tested, patients, CONFIG) if row.metric == "AUROC")
    each = [roc_auc_score(labels[fold.rows], chances[fold.rows]) for fold in tested]
    np.testing.assert_allclose(area.folds, each)
    assert area.figure.value == pytest.approx(np.mean(each))
    assert area.figure.low < area.figure.value < area.figure.high
    assert area.standard_error == pytest.approx(np.std(each, ddof=1) / 3**0.5)
    assert area.cases == 90


def test_the_interval_has_the_width_that_redrawing_by_hand_gives() -> None:
    labels, (fold,), chances = _folds(200, 1)
    patients = np.array([f"p{i}" for i in range(200)])
    figure = summarise([fold], patients, ScoreConfig(2000))[0].figure
    drawn = []
    for _ in range(2000):
        low, high = (RNG.choice(chances[labels == k], 100)[:, None] for k in (0, 1))
        drawn.append((high > low.T).mean() + (high == low.T).mean() / 2)
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=0.01)


def test_patients_are_drawn_whole_so_copies_of_a_slide_make_no_interval_narrower() -> None:
    labels, (fold,), chances = _folds(60, 1)
    alone = summarise([fold], np.array([f"p{i}" for i in range(60)]), CONFIG)[0].figure
    four_times = np.repeat(fold.rows, 4)
    probabilities = np.stack([1 - chances, chances], axis=1)[four_times]
    copies = FoldScores(0, np.arange(240), classified(("a", "b"), labels[four_times], probabilities)[0])
    owners = np.array([f"p{row}" for row in four_times])
    together = summarise([copies], owners, CONFIG)[0].figure
    apart = summarise([copies], np.array([f"q{i}" for i in range(240)]), CONFIG)[0].figure
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.25)
    assert apart.high - apart.low < 0.7 * (alone.high - alone.low)


def test_one_seed_gives_one_interval_and_a_fold_tested_twice_counts_its_patients_alike() -> None:
    _, tested, _ = _folds()
    patients = np.array([f"p{i}" for i in range(90)])
    assert summarise(tested, patients, CONFIG) == summarise(tested, patients, CONFIG)
    once, twice = summarise(tested[:1], patients, CONFIG), summarise([tested[0]] * 2, patients, CONFIG)
    assert once[0].figure.value == twice[0].figure.value
    assert once[0].figure.high - once[0].figure.low == pytest.approx(
        twice[0].figure.high - twice[0].figure.low, abs=0.05
    )


def test_cluster_indices_are_those_of_scikit_learn_in_every_resample() -> None:
    labels, members = RNG.integers(0, 3, 80), RNG.integers(0, 4, 80)
    counts = np.concatenate([np.ones((1, 80)), RNG.multinomial(80, np.full(80, 1 / 80), 5)])
    drawn = [np.repeat(np.arange(80), row.astype(int)) for row in counts]
    found = Clustered(labels, members).measures()
    np.testing.assert_allclose(
        found["Adjusted Rand index"](counts), [adjusted_rand_score(labels[r], members[r]) for r in drawn], atol=1e-12
    )
    np.testing.assert_allclose(
        found["Mutual information (nats)"](counts), [mutual_info_score(labels[r], members[r]) for r in drawn]
    )


def test_precisions_are_averaged_over_the_queries_of_a_resample() -> None:
    precisions = RNG.random((6, 2))
    found = Retrieved((1, 5), np.zeros(6, dtype=int), precisions).measures()
    counts = np.array([[1.0] * 6, [2, 0, 0, 4, 0, 0], [0] * 6])
    expected = [precisions[:, 1].mean(), precisions[[0, 0, 3, 3, 3, 3], 1].mean(), np.nan]
    np.testing.assert_allclose(found["mAP@5"](counts), expected)


def test_what_cannot_be_scored_is_refused_with_the_reason_and_absent_classes_are_said() -> None:
    chances = RNG.dirichlet(np.ones(3), 6)
    with pytest.raises(UnusableFoldError, match="the 6 test cases are all of one class"):
        classified("abc", np.zeros(6, dtype=int), chances)
    assert classified("abc", np.arange(6) % 2, chances)[1] == ("1 of 3 classes have no test case and do not count",)
    with pytest.raises(UnusableFoldError, match="no two of the 3 test cases can be compared"):
        survived(np.array([1.0, 2, 3]), np.array([False, False, True]), np.zeros(3))
    with pytest.raises(UnusableFoldError, match="no fold"):
        summarise([], np.array(["p"]), CONFIG)

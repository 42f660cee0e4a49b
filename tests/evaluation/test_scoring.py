import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_pathlupi.errors import MismatchError, SettingsError
from napari_pathlupi.evaluation.plots import plots
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Survived, Valued
from napari_pathlupi.evaluation.report import Evaluation
from napari_pathlupi.evaluation.scoring import Predictions, ScoreConfig, compare, resampled, score

RNG = np.random.default_rng(4)
QUICK = ScoreConfig(resamples=300)
CLASSES = ("A", "B", "C")
NAMES = tuple(f"case {i}" for i in range(90))
LABELS = np.arange(90) % 3


def chances(sureness: float, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(90, 3)) + sureness * np.eye(3)[LABELS]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def classified(sureness: float = 1.0, seed: int = 0, folds: int = 1) -> Predictions:
    fold = tuple(str(i * folds // 90) if folds > 1 else "" for i in range(90))
    return Predictions(NAMES, fold, Classified(CLASSES, LABELS, chances(sureness, seed)))


def test_every_resample_has_every_stratum_as_often_as_it_is():
    strata = np.array([0] * 5 + [1] * 2 + [2])
    counts = resampled(strata, QUICK)
    assert (counts[0] == 1).all()
    for stratum in range(3):
        assert (counts[:, strata == stratum].sum(1) == (strata == stratum).sum()).all()
    assert np.array_equal(counts, resampled(strata, QUICK))
    assert not np.array_equal(counts, resampled(strata, ScoreConfig(300, seed=1)))


def test_the_pooled_area_is_that_of_scikit_learn_and_lies_in_its_interval():
    (pooled,) = score(classified(), QUICK)
    found = pooled.figures["AUROC (macro one-vs-rest)"]
    told = classified().told
    assert found.value == pytest.approx(roc_auc_score(told.labels, told.probabilities, multi_class="ovr"))
    assert found.low < found.value < found.high
    assert pooled.figures["AUROC of B"].value == pytest.approx(roc_auc_score(LABELS == 1, told.probabilities[:, 1]))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        labels = (np.arange(120) < 60).astype(np.int64)
        second = 1 / (1 + np.exp(-rng.normal(size=120) - labels))
        told = Classified(("no", "yes"), labels, np.stack([1 - second, second], 1))
        figure = score(Predictions(tuple(map(str, range(120))), ("",) * 120, told), QUICK)[-1].figures["AUROC"]
        held.append(figure.low <= 0.7602 <= figure.high)  # Phi(1 / sqrt 2)
    assert np.mean(held) == pytest.approx(0.95, abs=0.06)


def test_a_class_with_one_case_in_each_fold_is_drawn_as_if_there_were_no_folds():
    labels = (np.arange(90) % 18 == 0).astype(np.int64)
    told = Classified(("A", "B"), labels, np.random.default_rng(0).dirichlet([1, 1], 90))
    by_fold, at_once = (
        score(Predictions(NAMES, folds, told), QUICK)[-1].figures["AUROC"]
        for folds in (tuple(str(i // 18) for i in range(90)), ("",) * 90)
    )
    assert by_fold.value == at_once.value
    assert by_fold.high - by_fold.low > 0.8 * (at_once.high - at_once.low)


def test_a_class_with_one_case_in_all_is_named_beside_the_intervals():
    labels = np.array([0] * 20 + [1] * 20 + [2])
    told = Classified(CLASSES, labels, np.random.default_rng(0).dirichlet([1, 1, 1], 41))
    one = Predictions(tuple(map(str, range(41))), ("",) * 41, told)
    assert "One case alone is of C: intervals" in Evaluation("", one, (), QUICK).protocol
    assert "alone" not in Evaluation("", classified(), (), QUICK).protocol


def test_the_mean_of_folds_is_the_mean_of_their_figures():
    scores = score(classified(folds=3), QUICK)
    assert [s.part for s in scores] == ["0", "1", "2", "mean of folds", "pooled"]
    assert [s.cases for s in scores] == [30, 30, 30, 90, 90]
    for name, figure in scores[3].figures.items():
        assert figure.value == pytest.approx(np.mean([s.figures[name].value for s in scores[:3]]))


def test_a_patient_that_several_folds_predicted_counts_once_with_the_mean():
    apart = [chances(1.0, seed) for seed in range(4)]
    told = Classified(CLASSES, np.tile(LABELS, 4), np.concatenate(apart), np.ones((360, 3), bool))
    many = Predictions(NAMES * 4, tuple(str(k) for k in range(4) for _ in range(90)), told)
    one = Predictions(NAMES, ("",) * 90, Classified(CLASSES, LABELS, np.mean(apart, axis=0)))
    assert many.several
    alike, single = score(many, QUICK)[-1], score(one, QUICK)[-1]
    assert alike.cases == 90
    assert alike.figures["Brier score"].value == pytest.approx(single.figures["Brier score"].value)
    assert alike.figures["AUROC of A"].low == pytest.approx(single.figures["AUROC of A"].low, abs=0.02)


def test_sets_are_told_by_how_often_they_hold_the_truth():
    sets = np.zeros((90, 3), bool)
    sets[np.arange(90), LABELS] = np.arange(90) >= 9
    sets[:, 0] = True
    told = Classified(CLASSES, LABELS, chances(1.0), sets)
    figures = score(Predictions(NAMES, ("",) * 90, told), QUICK)[-1].figures
    assert figures["Coverage of the sets"].value == pytest.approx((90 - 6) / 90)
    assert 1 <= figures["Classes in a set"].value <= 2


def test_risks_of_different_folds_are_not_compared():
    times, events = RNG.exponential(10, 90) + 1, RNG.random(90) < 0.7
    groups = np.arange(90) // 45
    risks = -times + 1000 * groups
    apart = Survived(times, events, risks, groups)
    folds = tuple(map(str, groups))
    scores = score(Predictions(NAMES, folds, apart), QUICK)
    assert [s.figures["C-index"].value for s in scores] == [1, 1, 1, 1]


def test_labels_and_values_are_scored_where_they_are_known():
    truth = (RNG.random((90, 2)) < 0.5).astype(float)
    truth[:20, 1] = np.nan
    told = Labelled(("X", "Y"), truth, RNG.random((90, 2)))
    figures = score(Predictions(NAMES, ("",) * 90, told), QUICK)[-1].figures
    known = roc_auc_score(truth[20:, 1], told.probabilities[20:, 1])
    assert figures["AUROC of Y"].value == pytest.approx(known)
    values = Valued(("Purity",), truth[:, :1] * 5, truth[:, :1] * 5)
    assert score(Predictions(NAMES, ("",) * 90, values), QUICK)[-1].figures["R²"].value == 1


def test_what_is_known_of_no_case_of_a_fold_is_left_out_of_the_mean():
    truth = (RNG.random((90, 2)) < 0.5).astype(float)
    truth[:45, 1] = np.nan
    folds = tuple(str(i // 45) for i in range(90))
    for told in (Labelled(("X", "Y"), truth, RNG.random((90, 2))), Valued(("X", "Y"), truth, RNG.random((90, 2)))):
        first, second, mean, _ = score(Predictions(NAMES, folds, told), QUICK)
        of_y = [name for name in first.figures if name.endswith("of Y")]
        assert len(of_y) == 3
        for name in of_y:
            assert np.isnan(first.figures[name].value)
            assert mean.figures[name].value == second.figures[name].value
        plots(told.take(np.arange(45)), ["#000000"])


def test_a_better_model_is_found_better_and_the_same_is_not():
    better, worse = classified(2.0, 1), classified(0.5, 2)
    found = compare(better, worse, QUICK)
    gap = found.differences["AUROC (macro one-vs-rest)"]
    assert gap.gap.low > 0 and gap.p < 0.02
    assert gap.gap.value == pytest.approx(gap.first - gap.second)
    assert set(found.delong) == set(CLASSES)
    same = compare(better, better, QUICK)
    assert same.differences["Brier score"].p == 1
    assert same.delong["A"].p == 1


def test_only_common_patients_are_compared_whatever_their_order():
    mine = classified(1.0, 1)
    shuffled = RNG.permutation(90)[:60]
    told = mine.told.take(shuffled)
    other = Predictions(tuple(NAMES[i] for i in shuffled), ("",) * 60, told)
    found = compare(mine, other, QUICK)
    assert (found.cases, found.only_first, found.only_second) == (60, 30, 0)
    assert found.differences["Brier score"].gap.value == pytest.approx(0)


def test_what_cannot_be_compared_is_refused():
    mine = classified()
    stranger = Predictions(tuple(f"x{i}" for i in range(90)), mine.folds, mine.told)
    with pytest.raises(MismatchError, match="none in common"):
        compare(mine, stranger)
    other = Classified(("A", "B", "D"), LABELS, chances(1.0))
    with pytest.raises(MismatchError, match="classes A, B, C, the other A, B, D"):
        compare(mine, Predictions(NAMES, mine.folds, other))
    with pytest.raises(MismatchError, match="different things"):
        compare(mine, Predictions(NAMES, mine.folds, Valued(("x",), LABELS[:, None] * 1.0, LABELS[:, None] * 1.0)))
    with pytest.raises(SettingsError, match="at least 100"):
        ScoreConfig(resamples=5)

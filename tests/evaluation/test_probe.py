"""The linear probe against scikit-learn itself and against the formula."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.few_shot import SHOTS, few_shot_rows
from napari_pathlupi.evaluation.probe import ProbeConfig, fit_probe


def _cases(n_classes: int, n: int = 60, dim: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_classes)
    classes = np.concatenate([np.arange(n_classes), rng.choice(n_classes, n - n_classes, p=_uneven(n_classes))])
    return rng.normal(size=(n, dim)) + 0.8 * np.eye(n_classes, dim)[classes], classes


def _uneven(n: int) -> np.ndarray:
    share = np.arange(1, n + 1)
    return share / share.sum()


def test_the_settings_are_the_published_ones() -> None:
    assert ProbeConfig() == ProbeConfig(cost=0.5, max_iter=10_000, balanced=True)
    assert SHOTS == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_the_probe_says_what_scikit_learn_says(n_classes: int) -> None:
    features, classes = _cases(n_classes)
    expected = LogisticRegression(C=0.5, max_iter=10_000, class_weight="balanced").fit(features, classes)
    found = fit_probe(features, classes, n_classes)
    np.testing.assert_allclose(found.probabilities(features), expected.predict_proba(features), atol=1e-9)
    assert found.notes == ()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_probe_minimises_the_balanced_penalised_loss_written_out(n_classes: int) -> None:
    features, classes = _cases(n_classes)
    weights = (len(classes) / (n_classes * np.bincount(classes)))[classes]
    outputs = 1 if n_classes == 2 else n_classes

    def loss(flat: np.ndarray) -> float:
        table = flat.reshape(outputs, -1)
        logits = features @ table[:, :-1].T + table[:, -1]
        logits = np.column_stack([np.zeros(len(logits)), logits]) if n_classes == 2 else logits
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        fit = -(weights * log_p[np.arange(len(classes)), classes]).sum()
        return float(0.5 * fit + 0.5 * (table[:, :-1] ** 2).sum())

    best = minimize(loss, np.zeros(outputs * (features.shape[1] + 1)), method="BFGS", options={"gtol": 1e-6})
    table = best.x.reshape(outputs, -1)
    found = fit_probe(features, classes, n_classes)
    weight = found.weight[1:] if n_classes == 2 else found.weight
    np.testing.assert_allclose(weight, table[:, :-1], atol=2e-3)


def test_a_class_that_was_never_seen_is_never_predicted_and_that_is_said() -> None:
    features, classes = _cases(3)
    seen = classes != 1
    found = fit_probe(features[seen], classes[seen], 3)
    probabilities = found.probabilities(features)
    assert (probabilities[:, 1] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert "1 of 3 classes have no training case" in found.notes[0]


def test_cases_of_one_class_and_features_that_never_differ_are_refused_with_the_reason() -> None:
    features, classes = _cases(2)
    with pytest.raises(UnusableFoldError, match="60 training cases are all of one class"):
        fit_probe(features, np.zeros(60, dtype=int), 2)
    with pytest.raises(UnusableFoldError, match="all 5 features are the same in all 60"):
        fit_probe(np.ones((60, 5)), classes, 2)
    with pytest.raises(SettingsError, match="must be above 0"):
        ProbeConfig(cost=0)


def test_constant_features_single_cases_and_an_unsettled_fit_become_sentences_not_warnings() -> None:
    features, classes = _cases(3)
    features[:, 2] = 7
    classes = np.where(classes == 0, 2, classes)
    classes[0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes = " ".join(fit_probe(features, classes, 3, ProbeConfig(max_iter=2)).notes)
    assert "1 of 5 features are the same" in notes
    assert "1 of 3 classes have one training case" in notes
    assert "had not settled after 2 iterations" in notes


def test_few_shots_are_as_many_of_each_class_and_the_seed_decides_which() -> None:
    _, classes = _cases(3, n=90)
    rows = few_shot_rows(classes, 4, "abc", seed=1)
    assert np.bincount(classes[rows]).tolist() == [4, 4, 4]
    assert len(set(rows)) == 12
    np.testing.assert_array_equal(rows, few_shot_rows(classes, 4, "abc", seed=1))
    assert set(rows) != set(few_shot_rows(classes, 4, "abc", seed=2))


def test_more_shots_than_a_class_has_are_refused_with_the_count() -> None:
    with pytest.raises(UnusableFoldError, match="b has 2"):
        few_shot_rows(np.array([0, 0, 0, 1, 1]), 4, ("a", "b"))


def test_threads_that_fit_at_once_tell_only_of_their_own_fit() -> None:
    features, classes = _cases(3)
    hasty = [number % 2 == 0 for number in range(8)]
    with ThreadPoolExecutor(4) as pool, warnings.catch_warnings():
        warnings.simplefilter("error")
        limits = [ProbeConfig(max_iter=2 if short else 10_000) for short in hasty]
        notes = list(pool.map(lambda config: fit_probe(features, classes, 3, config).notes, limits))
    assert [bool(note) for note in notes] == hasty

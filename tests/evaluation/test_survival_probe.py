"""The survival probe against scikit-survival and against the penalised partial likelihood written out."""

import warnings

import numpy as np
import pytest
from sksurv.linear_model import CoxnetSurvivalAnalysis
from sksurv.util import Surv

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.survival_probe import ALPHA, CoxnetConfig, fit_coxnet


def _cases(n: int = 80, dim: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(n, dim))
    times = rng.exponential(np.exp(-features[:, 0] + 0.5 * features[:, 1])) * 300 + 1
    return features, times, rng.random(n) < 0.7


def _objective(weight: np.ndarray, features: np.ndarray, times: np.ndarray, events: np.ndarray) -> float:
    """Elastic net at alpha 0.07, minus the Breslow partial log-likelihood per case, all by loops."""
    risk = features @ weight
    log_likelihood = 0.0
    for i in np.flatnonzero(events):
        at_risk = [risk[j] for j in range(len(times)) if times[j] >= times[i]]
        log_likelihood += risk[i] - np.log(np.exp(at_risk).sum())
    penalty = 0.07 * (0.5 * np.abs(weight).sum() + 0.25 * (weight**2).sum())
    return penalty - log_likelihood / len(times)


def test_the_settings_are_the_published_ones_with_the_iterations_of_patho_bench() -> None:
    assert ALPHA == {"OS": 0.07, "PFS": 0.01}
    assert CoxnetConfig() == CoxnetConfig(alpha=0.07, l1_ratio=0.5, max_iter=100_000)


def test_the_probe_is_scikit_survivals() -> None:
    features, times, events = _cases()
    expected = CoxnetSurvivalAnalysis(alphas=[0.07], l1_ratio=0.5, max_iter=10_000)
    expected.fit(features, Surv.from_arrays(events, times))
    found = fit_coxnet(features, times, events)
    np.testing.assert_allclose(found.weight, expected.coef_[:, 0], rtol=1e-10)
    held_back = np.random.default_rng(0).normal(size=(20, 6))
    assert np.argsort(found.risks(held_back)).tolist() == np.argsort(expected.predict(held_back)).tolist()


def test_no_step_in_any_direction_lowers_the_penalised_likelihood_written_out() -> None:
    features, times, events = _cases()
    weight = fit_coxnet(features, times, events).weight
    least = _objective(weight, features, times, events)
    for direction in (*np.eye(6), *np.random.default_rng(1).normal(size=(10, 6))):
        for step in (0.01, -0.01):
            assert _objective(weight + step * direction, features, times, events) > least


def test_a_higher_risk_means_an_earlier_event() -> None:
    features, times, events = _cases(n=200)
    risks = fit_coxnet(features, times, events).risks(features)
    assert np.corrcoef(risks, np.log(times))[0, 1] < -0.3


def test_censored_cases_only_times_of_nothing_and_equal_features_are_refused_with_the_reason() -> None:
    features, times, events = _cases()
    with pytest.raises(UnusableFoldError, match="all 80 training cases are censored"):
        fit_coxnet(features, times, np.zeros(80, dtype=bool))
    for wrong in (0.0, -3.0, np.nan):
        with pytest.raises(UnusableFoldError, match="1 of 80 training cases have a time that is not above 0"):
            fit_coxnet(features, np.r_[wrong, times[1:]], events)
    with pytest.raises(UnusableFoldError, match="all 6 features are the same"):
        fit_coxnet(np.ones_like(features), times, events)
    with pytest.raises(SettingsError, match="alpha"):
        CoxnetConfig(alpha=0)


def test_weights_that_are_all_0_and_a_fit_that_did_not_settle_are_said_not_warned_of() -> None:
    features, times, events = _cases()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = fit_coxnet(features, times, events, CoxnetConfig(alpha=50))
        hasty = fit_coxnet(features, times, events, CoxnetConfig(alpha=0.001, max_iter=1))
    assert "all weights are 0" in nothing.notes[0]
    assert (nothing.risks(features) == 0).all()
    assert any("had not settled after 1 iterations" in note for note in hasty.notes)

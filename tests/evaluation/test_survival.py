import numpy as np
import pytest
from scipy.stats import chi2

from napari_pathlupi.evaluation.predicted import Survived
from napari_pathlupi.evaluation.survival import kaplan_meier, log_rank, risk_groups

# Freireich et al., Blood 1963: weeks of remission under 6-mercaptopurine and under placebo
DRUG = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
DRUG_SEEN = [True] * 9 + [False] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TIMES, EVENTS = np.array(DRUG + PLACEBO, float), np.array(DRUG_SEEN + [True] * 21)


def test_a_curve_published_often_comes_out():
    curve = kaplan_meier(np.array(DRUG, float), np.array(DRUG_SEEN))
    at = dict(zip(curve.times, curve.survival, strict=True))
    assert [at[t] for t in (0, 6, 7, 10, 13, 16, 22, 23)] == pytest.approx(
        [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4
    )
    assert (curve.cases, curve.events) == (21, 9)
    assert np.all(curve.low <= curve.survival) and np.all(curve.survival <= curve.high)


def test_the_log_rank_test_of_that_trial_comes_out():
    groups = np.repeat([0, 1], 21)
    assert log_rank(TIMES, EVENTS, groups) == pytest.approx(chi2.sf(16.79, 1), rel=0.01)
    assert np.isnan(log_rank(TIMES, EVENTS, groups * 0))


def test_cases_are_parted_at_the_median_of_their_own_fold():
    risks = np.arange(42.0) + 1000 * (np.arange(42) % 2)
    folds = np.arange(42) % 2
    parted = risk_groups(Survived(TIMES, EVENTS, risks, folds))
    assert parted is not None
    assert (parted.low.cases, parted.high.cases) == (22, 20)
    assert "each fold's own" in parted.words
    assert "these cases" in risk_groups(Survived(TIMES, EVENTS, risks, folds * 0)).words


def test_risks_that_are_all_alike_part_nobody():
    assert risk_groups(Survived(TIMES, EVENTS, np.ones(42), np.zeros(42, np.int64))) is None


def test_nobody_dying_is_a_flat_line():
    assert (kaplan_meier(np.arange(1.0, 9), np.zeros(8, bool)).survival == 1).all()

import numpy as np
import pytest

from napari_pathlupi.evaluation.delong import delong

RNG = np.random.default_rng(1)
POSITIVE = RNG.random(60) < 0.4
FIRST = (POSITIVE + RNG.normal(size=60)).round(1)
SECOND = (0.4 * POSITIVE + RNG.normal(size=60)).round(1)


def by_pairs(positive, first, second):
    """DeLong, DeLong and Clarke-Pearson 1988, formulas 3 to 7, pair by pair."""
    kernel = [(np.sign(s[positive][:, None] - s[~positive][None]) + 1) / 2 for s in (first, second)]
    m, n = kernel[0].shape
    areas = [k.mean() for k in kernel]
    ten, one = [k.mean(1) for k in kernel], [k.mean(0) for k in kernel]

    def s(parts, r, t, count):
        return sum((parts[r] - areas[r]) * (parts[t] - areas[t])) / (count - 1)

    def entry(r, t):
        return s(ten, r, t, m) / m + s(one, r, t, n) / n

    return *areas, (entry(0, 0) + entry(1, 1) - 2 * entry(0, 1)) ** 0.5


def test_it_is_the_published_statistic_counted_pair_by_pair():
    found = delong(POSITIVE, FIRST, SECOND)
    assert (found.first, found.second, found.error) == pytest.approx(by_pairs(POSITIVE, FIRST, SECOND))
    assert found.interval[0] < found.first - found.second < found.interval[1]


def test_exchanging_the_models_changes_the_sign_only():
    there, back = delong(POSITIVE, FIRST, SECOND), delong(POSITIVE, SECOND, FIRST)
    assert there.p == pytest.approx(back.p)
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))


def test_scores_in_the_same_order_do_not_differ():
    assert delong(POSITIVE, FIRST, 3 * FIRST + 1).p == 1


def test_under_no_difference_one_in_twenty_is_found():
    rng = np.random.default_rng(3)
    positive = np.arange(80) < 40
    trials = [delong(positive, positive + rng.normal(size=80), positive + rng.normal(size=80)).p for _ in range(600)]
    assert np.mean(np.array(trials) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_one_positive_case_is_not_enough():
    with pytest.raises(ValueError, match="at least two positive"):
        delong(np.arange(9) == 1, np.arange(9.0), np.arange(9.0))

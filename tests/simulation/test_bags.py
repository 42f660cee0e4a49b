"""Simulated bags: few tiles carry a trace of their case, and what the trace is follows the profile."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.simulation.bags import BagConfig, SimulatedBags, simulate_bags

SMALL = BagConfig(dim=24, tiles=(40, 60), programmes=4, tile_noise=0.3, trace=1.5)


def profiles(cases: int, columns: int = 6) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(cases, columns))


def explained(bags: SimulatedBags, carrying: bool, wanted: np.ndarray) -> float:
    """Share of the variance of what is wanted that the mean of some tiles tells in the second half of the cases."""
    parts = zip(bags.features, bags.carrying, strict=True)
    means = np.stack([tiles[which == carrying].mean(axis=0) for tiles, which in parts])
    half = len(means) // 2
    said = RidgeCV(np.logspace(-1, 4, 10)).fit(means[:half], wanted[:half]).predict(means[half:])
    rest = ((said - wanted[half:]) ** 2).sum() / ((wanted[half:] - wanted[half:].mean(axis=0)) ** 2).sum()
    return float(1 - rest)


def test_bags_have_the_shape_and_the_share_of_carrying_tiles_that_were_asked_for() -> None:
    bags = simulate_bags(profiles(200), 1, SMALL)
    assert {tiles.shape[1] for tiles in bags.features} == {24}
    assert {tiles.dtype for tiles in bags.features} == {np.dtype(np.float32)}
    assert min(map(len, bags.features)) >= 40 and max(map(len, bags.features)) <= 60
    shares = [which.mean() for which in bags.carrying]
    assert np.mean(shares) == pytest.approx(SMALL.carrying, abs=0.01) and np.std(shares) > 0.02
    assert min(which.sum() for which in bags.carrying) >= 1


def test_a_case_depends_on_its_world_its_row_and_its_number_alone() -> None:
    few, many = (simulate_bags(profiles(9)[:count], 3, SMALL) for count in (4, 9))
    for ours, theirs in zip(few.features, many.features[:4], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(few.features[0][:40], simulate_bags(profiles(4), 4, SMALL).features[0][:40])


def test_the_profile_is_in_the_tiles_that_carry_and_in_no_others() -> None:
    rows = profiles(600)
    bags = simulate_bags(rows, 2, SMALL)
    assert explained(bags, True, rows) > 0.2
    assert explained(bags, False, rows) < 0.02


def test_noise_between_cases_and_between_tiles_hides_the_profile() -> None:
    rows = profiles(400)
    clear = explained(simulate_bags(rows, 2, SMALL), True, rows)
    for noisy in (replace(SMALL, case_noise=2.0), replace(SMALL, tile_noise=3.0), replace(SMALL, trace=0.1)):
        assert explained(simulate_bags(rows, 2, noisy), True, rows) < clear - 0.1


def test_the_place_of_a_tile_says_nothing() -> None:
    bags = simulate_bags(profiles(500), 6, SMALL)
    first, last = (np.mean([which[i] for which in bags.carrying]) for i in (0, -1))
    assert first == pytest.approx(SMALL.carrying, abs=0.05) and last == pytest.approx(SMALL.carrying, abs=0.05)


@pytest.mark.parametrize("change", [{"carrying": 0.5, "lookalikes": 0.3}, {"carrying": 0.0}, {"tiles": (9, 3)}])
def test_bags_that_cannot_be_are_refused_in_a_sentence(change: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="cannot be simulated"):
        replace(SMALL, **change)

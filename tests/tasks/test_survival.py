import numpy as np
import pytest
import torch

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.tasks.cox import Cox
from napari_pathlupi.tasks.survival import Survival

TASK = Survival(times=[10, 20, 30, 40])


def by_the_formula(logits: np.ndarray, y: int, event: float, alpha: float) -> float:
    hazards = 1 / (1 + np.exp(-logits))
    stays = np.cumprod(1 - hazards)
    before = stays[y - 1] if y else 1.0
    return -event * (np.log(before) + np.log(hazards[y])) - (1 - alpha) * (1 - event) * np.log(stays[y])


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_the_loss_is_that_of_the_formula_and_a_bin_holds_its_start(alpha):
    times, events, bins = [3.0, 10.0, 29.9, 30.0, 99.0], [1.0, 0.0, 1.0, 1.0, 0.0], [0, 1, 2, 3, 3]
    logits = np.random.default_rng(2).normal(size=(5, 4))
    task = Survival(alpha=alpha, times=[10, 20, 30, 40])
    expected = np.mean([by_the_formula(row, y, e, alpha) for row, y, e in zip(logits, bins, events, strict=True)])
    wanted = torch.tensor([times, events], dtype=torch.float64).T
    assert task.loss(torch.from_numpy(logits), wanted).item() == pytest.approx(expected)


def test_bins_hold_equally_many_of_the_uncensored_times():
    rng = np.random.default_rng(0)
    wanted = np.stack([rng.exponential(20, 400), rng.integers(0, 2, 400)], axis=1)
    times = Survival().fitted(wanted).times
    seen = wanted[wanted[:, 1] == 1, 0]
    counts = np.bincount(np.searchsorted(times[:-1], seen, side="right"), minlength=4)
    assert counts.max() - counts.min() <= 1
    assert times[-1] == wanted[:, 0].max()


def test_the_curve_falls_and_the_median_lies_where_it_passes_a_half():
    answer = TASK.answer(torch.tensor([-2.0, 0.0, 0.0, -9.0]))
    assert answer.survival == tuple(sorted(answer.survival, reverse=True))
    assert answer.median == "median between 10 and 20 months"
    assert answer.certainty == "44 % at 20 months"
    never = TASK.answer(torch.tensor([-9.0, -9.0, -9.0, -9.0]))
    assert never.median == "median not reached within 40 months"
    assert never.risk < answer.risk
    assert TASK.answer(torch.tensor([5.0, 0.0, 0.0, 0.0])).median == "median within 10 months"


def test_with_a_calibration_the_risk_is_told_among_the_validation_cases():
    answer = TASK.answer(torch.zeros(4), Calibration(200, risks=(-4.0, -0.9375, 0.0)))
    assert (answer.headline, answer.certainty) == ("Risk", "above 50 % of 200 cases")
    worst = TASK.answer(torch.full((4,), 50.0), Calibration(200, risks=(-4.0, -2.0, -1.0)))
    assert (worst.below, worst.certainty) == (1, "above nearly all of 200 cases")


def test_times_close_together_are_told_apart():
    answer = Survival(times=[10.1, 10.2, 10.4, 40]).answer(torch.zeros(4))
    assert len({row.label for row in answer.rows()}) == 4


def test_the_partial_likelihood_has_ties_as_breslow_does():
    risk = torch.tensor([[0.3], [-1.0], [0.7], [0.1]])
    wanted = torch.tensor([[2.0, 1.0], [2.0, 1.0], [5.0, 0.0], [1.0, 0.0]])
    at_risk = np.log(np.exp([0.3, -1.0, 0.7]).sum())  # the two events at 2, and who was watched longer
    expected = ((at_risk - 0.3) + (at_risk + 1.0)) / 2
    assert Cox().loss(risk, wanted).item() == pytest.approx(expected)


def test_adding_a_constant_to_every_log_hazard_changes_no_likelihood():
    risk, wanted = torch.randn(6, 1), torch.tensor([[1.0, 1], [2, 0], [3, 1], [3, 1], [4, 0], [9, 1]])
    torch.testing.assert_close(Cox().loss(risk, wanted), Cox().loss(risk + 3, wanted))

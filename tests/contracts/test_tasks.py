"""What holds for every task, whoever wrote it."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_pathlupi.catalogue import tasks
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._task import Task

CASES = 40
RNG = np.random.default_rng(5)
SURVIVED = np.stack([RNG.exponential(30, CASES) + 1, np.arange(CASES) % 2], axis=1)
KNOWN = {
    "classification": ({"classes": ["A", "B", "C"], "weights": "balanced"}, np.arange(CASES)[:, None] % 3),
    "multilabel": (
        {"labels": ["A", "B"], "weights": "balanced"},
        np.stack([np.arange(CASES) % 2, np.arange(CASES) % 5 == 0], axis=1),
    ),
    "regression": ({"names": ["Purity", "Age"], "unit": "%"}, RNG.normal(50, 9, (CASES, 2))),
    "survival": ({"alpha": 0.3}, SURVIVED),
    "cox": ({}, SURVIVED),
}
BAD: list[tuple[str, str, Callable[[np.ndarray], None]]] = []


def bad(name: str, words: str) -> Callable[[Callable[[np.ndarray], None]], Callable[[np.ndarray], None]]:
    def remember(spoil: Callable[[np.ndarray], None]) -> Callable[[np.ndarray], None]:
        BAD.append((name, words, spoil))
        return spoil

    return remember


@pytest.fixture(params=list(tasks))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wanted(name: str) -> np.ndarray:
    return KNOWN[name][1].astype(np.float64)


@pytest.fixture
def task(name: str, wanted: np.ndarray) -> Task:
    return tasks[name](**KNOWN[name][0]).fitted(wanted)


@pytest.fixture
def outputs(task: Task) -> torch.Tensor:
    return torch.randn(CASES, task.outputs, generator=torch.Generator().manual_seed(1)).requires_grad_()


def test_its_columns_are_those_of_what_is_known(task, wanted):
    assert wanted.shape == (CASES, task.columns)
    task.check(wanted)


def test_cases_of_which_nothing_is_known_change_nothing(task, wanted, outputs):
    wanted[25:] = np.nan
    known = torch.from_numpy(wanted).float()
    loss = task.loss(outputs, known)
    torch.testing.assert_close(loss, task.loss(outputs[:25], known[:25]))
    loss.backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert outputs.grad[:25].any() and not outputs.grad[25:].any()
    task.check(wanted)


def test_where_nothing_is_known_the_loss_is_zero(task, wanted, outputs):
    loss = task.loss(outputs, torch.from_numpy(wanted * np.nan).float())
    loss.backward()
    assert loss == 0
    assert not outputs.grad.any()


def test_the_loss_falls_as_the_outputs_move_to_the_truth(task, wanted, outputs):
    known = torch.from_numpy(wanted).float()
    optimiser = torch.optim.Adam([outputs], lr=0.15)
    losses = []
    for _ in range(40):
        loss = task.loss(outputs, known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert losses == sorted(losses, reverse=True)


def test_the_loss_of_rounded_outputs_is_that_of_the_same_numbers_in_full(task, wanted, outputs):
    half, known = outputs.bfloat16(), torch.from_numpy(wanted).float()
    assert task.loss(half, known) == task.loss(half.float(), known)


@pytest.mark.parametrize("size", [0.0, 50.0, 1e4, -1e4])
def test_extreme_outputs_give_a_finite_loss_and_answer(task, wanted, outputs, size):
    signs = torch.where(torch.arange(task.outputs) % 2 == 0, 1.0, -1.0)
    assert task.loss(size * signs.expand(CASES, -1), torch.from_numpy(wanted).float()).isfinite()
    calibration = Calibration(20, 1.5, risks=(-3.0, -1.0, 0.0), thresholds=(0.4,) * min(2, task.columns))
    for told in ({}, {"calibration": calibration, "folds": torch.stack([size * signs, -size * signs])}):
        answer = task.answer(size * signs, **told)
        assert all(math.isfinite(value) for value in answer.numbers().values())
        assert all(0 <= row.share <= 1 and row.label and row.text for row in answer.rows())
        assert all(isinstance(value, str) or math.isfinite(value) for value in answer.columns().values())
        json.dumps(answer.as_dict(), allow_nan=False)
        assert answer.headline and answer.certainty
        assert bool(answer.remark) or not told


def test_each_output_has_a_name_of_its_own(task):
    assert len(set(task.evidence_names)) == len(task.evidence_names) == task.outputs


def test_it_is_built_again_from_its_settings_in_a_card(name, task):
    again = tasks[name](**json.loads(json.dumps(task.settings(), allow_nan=False)))
    assert again.settings() == task.settings()


def test_fitting_again_on_other_cases_changes_nothing(task, wanted):
    assert task.fitted(wanted[:20]).settings() == task.settings()


@bad("classification", "each with the index of its class")
def _index_out_of_range(wanted):
    wanted[3] = 3


@bad("classification", "at least two classes")
def _one_class(wanted):
    wanted[:] = 1


@bad("classification", "some must be labelled")
def _nothing(wanted):
    wanted[:] = np.nan


@bad("multilabel", "the label B is 0, 0.5, 1 in its 40 known cases")
def _half(wanted):
    wanted[3, 1] = 0.5


@bad("multilabel", "both must occur")
def _never(wanted):
    wanted[:, 0] = 0


@bad("regression", "Age has 1 different values")
def _constant(wanted):
    wanted[:, 1] = 4


@bad("regression", "1 of them infinite")
def _infinite(wanted):
    wanted[0, 0] = np.inf


for survival in ("survival", "cox"):

    @bad(survival, "not above 0 and finite")
    def _at_once(wanted):
        wanted[2, 0] = 0

    @bad(survival, "the outcome of a case is 2")
    def _twice(wanted):
        wanted[2, 1] = 2

    @bad(survival, "all are censored")
    def _censored(wanted):
        wanted[:, 1] = 0


@bad("survival", "do not fill 4 bins")
def _at_two_times(wanted):
    wanted[:, 0] = 1 + np.arange(CASES) // 20


@pytest.mark.parametrize(("name", "words", "spoil"), BAD, ids=[f"{name}: {words}" for name, words, _ in BAD])
def test_what_cannot_be_learned_from_is_refused_in_one_sentence(name, words, spoil):
    settings, known = KNOWN[name]
    wanted = known.astype(np.float64)
    spoil(wanted)
    with pytest.raises(MismatchError, match=words) as refused:
        tasks[name](**settings).check(wanted)
    assert str(refused.value).endswith((".", "?"))
    assert "\n" not in str(refused.value)

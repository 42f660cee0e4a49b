"""Models that were each fitted on training cases of their own, answering together."""

import json

import numpy as np
import pytest
import torch

from napari_pathlupi.catalogue import tasks
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks.classification import Classification
from napari_pathlupi.tasks.regression import Regression
from napari_pathlupi.tasks.survival import Survival

RNG = np.random.default_rng(3)


def fits_of(task, kinds: int = 3):
    """The task fitted on as many different sets of cases."""
    shape = (60, task.columns)
    wanted = [RNG.exponential(20 + 5 * k, shape) + 0.1 for k in range(kinds)]
    for cases in wanted if isinstance(task, Survival) else ():
        cases[:, 1] = RNG.random(len(cases)) < 0.7
    return [task.fitted(cases) for cases in wanted]


@pytest.fixture(params=["regression", "survival"])
def joined(request: pytest.FixtureRequest):
    task = tasks[request.param](**{"names": ["Purity", "Age"]} if request.param == "regression" else {})
    return task.joined(fits_of(task))


def test_fits_that_are_alike_stay_as_they_are():
    task = Survival().fitted(np.stack([np.arange(1.0, 30.0), np.ones(29)], axis=1))
    assert Survival().joined([task, task]) is task


def test_weights_of_the_loss_differ_and_the_answer_is_of_one_task():
    labels = [np.array([[0.0], [1.0], [1.0]]), np.array([[0.0], [0.0], [1.0]])]
    task = Classification(["A", "B"], weights="balanced")
    joined = task.joined([task.fitted(one) for one in labels])
    assert joined.weights == "balanced" and joined.answer(torch.tensor([0.0, 1.0])).probabilities[1] > 0.7


def test_a_joined_task_goes_through_a_card_and_answers_alike(joined):
    again = type(joined)(**json.loads(json.dumps(joined.settings())))
    folds = torch.randn(3, joined.outputs)
    assert again.answer(folds.mean(0), folds=folds) == joined.answer(folds.mean(0), folds=folds)


def test_values_are_the_mean_of_what_each_model_says_in_its_own_units():
    fits = fits_of(Regression(["Purity", "Age"]))
    outputs = torch.randn(3, 2, dtype=torch.float64)
    own = np.array([fit.answer(one).values for fit, one in zip(fits, outputs, strict=True)])
    answer = Regression(["Purity", "Age"]).joined(fits).answer(outputs.mean(0), folds=outputs)
    np.testing.assert_allclose(answer.folds, own)
    np.testing.assert_allclose(answer.values, own.mean(axis=0))


def test_a_curve_of_constant_rate_is_read_as_the_same_curve_in_any_bins():
    rate = 0.03
    fits = [Survival(times=ends) for ends in ([5, 11, 30, 70], [8, 15, 28, 90], [4, 20, 33, 80])]
    joined = Survival().joined(fits)
    assert joined.times == pytest.approx([17 / 3, 46 / 3, 91 / 3, 90])
    ends = np.array([[*fit.times[:-1], 90.0] for fit in fits])
    hazards = 1 - np.exp(-rate * np.diff(ends, axis=1, prepend=0))
    answer = joined.answer(torch.zeros(4), folds=torch.from_numpy(np.log(hazards / (1 - hazards))))
    expected = np.exp(-rate * np.array(joined.times))
    np.testing.assert_allclose(answer.folds, np.tile(expected, (3, 1)))
    np.testing.assert_allclose(answer.survival, expected)


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_a_joined_curve_falls_and_is_finite_however_sure_the_models_are(scale):
    joined = Survival().joined(fits_of(Survival()))
    for _ in range(20):
        folds = scale * torch.randn(3, 4)
        answer = joined.answer(folds.mean(0), folds=folds)
        curve = np.array([1.0, *answer.survival])
        assert np.isfinite(curve).all() and (np.diff(curve) <= 0).all() and np.isfinite(answer.risk)


def test_as_many_models_must_answer_as_were_joined(joined):
    with pytest.raises(MismatchError, match="2 models answer a task that 3 were fitted to"):
        joined.answer(torch.zeros(joined.outputs), folds=torch.zeros(2, joined.outputs))

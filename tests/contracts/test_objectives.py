"""What holds for every molecular objective, whoever wrote it."""

import pytest
import torch

from napari_pathlupi.catalogue import objectives
from napari_pathlupi.molecular.objectives._objective import Objective

WIDTH, SETS, SLIDES = 10, 6, 8


@pytest.fixture(params=list(objectives))
def objective(request: pytest.FixtureRequest) -> Objective:
    torch.manual_seed(0)
    return objectives[request.param](WIDTH, SETS).eval()


@pytest.fixture
def embedding() -> torch.Tensor:
    return torch.randn(SLIDES, WIDTH, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.randn(SLIDES, SETS, generator=torch.Generator().manual_seed(2))


def test_slides_without_expression_change_nothing(objective, embedding, targets):
    known = torch.arange(SLIDES) < 5
    targets[5:] = torch.nan
    loss = objective(embedding, targets, known)
    torch.testing.assert_close(loss, objective(embedding[:5], targets[:5], known[:5]))
    loss.backward()
    assert embedding.grad is not None
    assert embedding.grad[:5].any() and not embedding.grad[5:].any()


def test_without_any_expression_the_loss_is_zero(objective, embedding, targets):
    loss = objective(embedding, targets * torch.nan, torch.zeros(SLIDES, dtype=torch.bool))
    loss.backward()
    assert loss == 0


def test_every_parameter_learns(objective, embedding, targets):
    objective(embedding, targets, torch.ones(SLIDES, dtype=torch.bool)).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in objective.parameters())


def test_activity_has_one_number_per_gene_set_or_there_is_none(objective, embedding):
    activity = objective.activity(embedding)
    assert activity is None or activity.shape == (SLIDES, SETS)

"""What holds for every molecular objective, whoever wrote it."""

import pytest
import torch

from napari_pathlupi.catalogue import objectives
from napari_pathlupi.molecular.objectives._objective import Objective

WIDTH, SETS, SLIDES = 10, 6, 8


def cross_entropy_of_classes(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(outputs, wanted[:, 0].long())


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


def test_a_target_that_was_not_measured_gives_numbers_and_teaches_nothing(objective, embedding, targets):
    targets[0, 0], targets[1:, 1], known = torch.nan, torch.nan, torch.ones(SLIDES, dtype=torch.bool)
    loss = objective(embedding, targets, known)
    loss.backward()
    assert loss.isfinite() and embedding.grad.isfinite().all()
    if objective.activity(embedding) is not None:
        without = objective(embedding, targets, known)
        targets[1:, 1] = torch.randn(SLIDES - 1)
        assert objective(embedding, targets, known) != without


def test_learning_lowers_the_loss(objective, embedding, targets):
    known = torch.ones(SLIDES, dtype=torch.bool)
    objective.prepare(targets, (targets[:, :1] > 0).float(), cross_entropy_of_classes)
    optimiser = torch.optim.Adam([*objective.parameters(), embedding], lr=0.03)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        losses.append(objective(embedding, targets, known))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


def test_extreme_numbers_give_a_finite_loss(objective, embedding, targets):
    known = torch.ones(SLIDES, dtype=torch.bool)
    assert objective(1e6 * embedding, 1e3 * targets, known).isfinite()
    assert objective(0 * embedding, 0 * targets, known).isfinite()


def test_the_weights_make_the_same_objective_again(objective, embedding, targets):
    known = torch.ones(SLIDES, dtype=torch.bool)
    objective.prepare(targets, (targets[:, :1] > 0).float(), cross_entropy_of_classes)
    again = type(objective)(WIDTH, SETS).eval()
    again.load_state_dict(objective.state_dict())
    torch.testing.assert_close(again(embedding, targets, known), objective(embedding, targets, known))


def test_activity_has_one_number_per_gene_set_or_there_is_none(objective, embedding):
    activity = objective.activity(embedding)
    assert activity is None or activity.shape == (SLIDES, len(objective.sets) or SETS)

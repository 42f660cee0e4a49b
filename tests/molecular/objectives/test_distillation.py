import torch

from napari_pathlupi.molecular.objectives.distillation import Distillation


def test_the_teacher_learns_the_classes_from_the_expression_of_labelled_cases():
    torch.manual_seed(0)
    targets = torch.randn(80, 6)
    truth = (targets[:, :1] + targets[:, 1:2] > 0).float()
    wanted = truth.clone()
    wanted[40:] = torch.nan
    targets[70:] = torch.nan
    objective = Distillation(4, 6)
    objective.prepare(
        targets, wanted, lambda outputs, known: torch.nn.functional.cross_entropy(outputs, known[:, 0].long())
    )
    said = targets[40:70] @ objective.weight.mT + objective.bias
    assert (said.argmax(dim=1) == truth[40:70, 0]).float().mean() > 0.8


def test_without_a_case_with_both_nothing_is_taught():
    objective = Distillation(4, 6)
    objective.prepare(torch.full((3, 6), torch.nan), torch.zeros(3, 1), lambda outputs, known: outputs.sum())
    assert not objective.weight.any()

import torch

from napari_pathlupi.molecular.objectives.contrastive import Contrastive


def test_slides_with_the_expression_of_others_are_further_from_it():
    torch.manual_seed(0)
    embedding, targets, known = torch.randn(16, 8), torch.randn(16, 5), torch.ones(16, dtype=torch.bool)
    objective = Contrastive(8, 5, dropout=0.0)
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
    for _ in range(80):
        optimiser.zero_grad()
        objective(embedding, targets, known).backward()
        optimiser.step()
    assert objective(embedding, targets, known) < objective(embedding, targets.roll(1, dims=0), known)


def test_a_single_slide_has_nobody_to_be_told_from():
    assert Contrastive(8, 5)(torch.randn(1, 8), torch.randn(1, 5), torch.ones(1, dtype=torch.bool)) == 0

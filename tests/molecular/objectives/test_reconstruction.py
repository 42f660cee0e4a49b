import torch

from napari_pathlupi.molecular.objectives.reconstruction import Reconstruction


def test_the_loss_is_the_mean_squared_error_of_the_activity():
    torch.manual_seed(0)
    objective = Reconstruction(4, 3)
    embedding, targets = torch.randn(5, 4), torch.randn(5, 3)
    expected = (objective.activity(embedding) - targets).square().mean()
    torch.testing.assert_close(objective(embedding, targets, torch.ones(5, dtype=torch.bool)), expected)


def test_doubling_the_gene_sets_does_not_double_the_loss():
    objective, twice = Reconstruction(4, 3), Reconstruction(4, 6)
    twice.load_state_dict({name: torch.cat([weight, weight]) for name, weight in objective.state_dict().items()})
    embedding, targets, known = torch.randn(5, 4), torch.randn(5, 3), torch.ones(5, dtype=torch.bool)
    torch.testing.assert_close(
        objective(embedding, targets, known), twice(embedding, torch.cat([targets, targets], dim=1), known)
    )

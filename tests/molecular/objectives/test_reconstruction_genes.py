import pytest
import torch

from napari_pathlupi.molecular.objectives.reconstruction_genes import ReconstructionGenes

KNOWN = torch.ones(5, dtype=torch.bool)


def test_each_set_reads_its_own_token():
    torch.manual_seed(0)
    objective = ReconstructionGenes(4, 5, {"A": 2, "B": 3}).eval()
    tokens = torch.randn(5, 2, 4)
    moved = tokens.clone()
    moved[:, 1] += 1
    change = objective.activity(moved) - objective.activity(tokens)
    assert not change[:, 0].any() and change[:, 1].any()


def test_the_loss_is_squared_error_and_cubed_distance_of_the_cosine_averaged_over_sets():
    torch.manual_seed(0)
    objective = ReconstructionGenes(4, 5, {"A": 2, "B": 3}).eval()
    embedding, targets = torch.randn(5, 4), torch.randn(5, 5)
    expected = []
    for network, truth in zip(objective.sig_reconstruct_net, targets.split([2, 3], dim=1), strict=True):
        told = network(embedding)
        cosine = (told * truth).sum(dim=1) / (told.norm(dim=1) * truth.norm(dim=1))
        expected.append(((told - truth) ** 2).mean() + ((1 - cosine) ** 3).mean())
    torch.testing.assert_close(objective(embedding, targets, KNOWN), sum(expected) / 2)


def test_a_gene_that_was_not_measured_is_as_if_it_were_no_gene_of_the_set():
    torch.manual_seed(0)
    objective = ReconstructionGenes(4, 3, {"A": 3}).eval()
    fewer = ReconstructionGenes(4, 2, {"A": 2}).eval()
    state = objective.state_dict()
    last = "sig_reconstruct_net.0.4."
    fewer.load_state_dict(state | {last + part: state[last + part][:2] for part in ("weight", "bias")})
    embedding, targets = torch.randn(5, 4), torch.randn(5, 3)
    targets[:, 2] = torch.nan
    torch.testing.assert_close(objective(embedding, targets, KNOWN), fewer(embedding, targets[:, :2], KNOWN))


def test_sets_that_do_not_fill_the_columns_are_refused():
    with pytest.raises(ValueError, match="have 4 genes, and 5 columns"):
        ReconstructionGenes(4, 5, {"A": 4})

import torch

from napari_pathlupi.molecular.encoders.dna_mlp import DNAMLP


def test_has_as_many_parameters_as_the_paper_says():
    with torch.device("meta"):
        encoder = DNAMLP([f"alteration {i}" for i in range(1673)])
    assert sum(weight.numel() for weight in encoder.parameters()) == 10_128_068


def test_what_nobody_measured_counts_as_not_altered():
    torch.manual_seed(0)
    encoder = DNAMLP(["A", "B", "C"], width=4).eval()
    known, unknown = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[1.0, torch.nan, 1.0]])
    assert torch.equal(encoder(known), encoder(unknown))

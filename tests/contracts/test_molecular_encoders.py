"""What holds for every molecular encoder, whoever wrote it."""

import pytest
import torch

from napari_pathlupi.catalogue import molecular_encoders
from napari_pathlupi.molecular.encoders._encoder import MolecularEncoder

COLUMNS = [f"G{i}" for i in range(9)]
CASES = 5


@pytest.fixture(scope="module", params=list(molecular_encoders))
def encoder(request: pytest.FixtureRequest) -> MolecularEncoder:
    torch.manual_seed(0)
    return molecular_encoders[request.param](COLUMNS).eval()


@pytest.fixture
def values() -> torch.Tensor:
    return torch.rand(CASES, len(COLUMNS), generator=torch.Generator().manual_seed(1)).mul(8).round()


def test_gives_a_vector_of_the_width_it_declares(encoder, values):
    assert encoder(values).shape == (CASES, encoder.width)
    assert encoder.reads in ("rna", "dna")


def test_the_company_in_a_batch_changes_nothing(encoder, values):
    values[2, 4] = torch.nan
    alone = torch.cat([encoder(case[None]) for case in values])
    torch.testing.assert_close(encoder(values), alone, rtol=1e-4, atol=1e-5)


def test_what_nobody_measured_leaves_the_vector_and_its_gradients_finite(encoder, values):
    values[0, 3], values[1] = torch.nan, torch.nan
    vectors = encoder(values)
    assert vectors.isfinite().all()
    gradients = torch.autograd.grad(vectors.square().sum(), list(encoder.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_every_column_counts(encoder, values):
    slopes = torch.autograd.grad(encoder(values.requires_grad_())[:, :3].sum(), values)[0]
    assert slopes.abs().sum(dim=0).all()


def test_every_parameter_learns(encoder, values):
    encoder.zero_grad()
    vectors = encoder(values)
    (vectors * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    silent = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


def test_fitting_needs_only_the_training_cases(encoder, values):
    values[:, 2] = 1.0
    encoder.fit(values)
    assert encoder(values).isfinite().all()


def test_without_training_nothing_is_drawn(encoder, values):
    assert torch.equal(encoder(values), encoder(values))


def test_bfloat16_agrees_with_float32_as_far_as_it_can(encoder, values):
    values[0, 3] = torch.nan
    exact = encoder(values)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(values)
    assert torch.nn.functional.cosine_similarity(rough.float(), exact).min() > 0.99

import pytest
import torch

from napari_pathlupi.slide_encoders.pathlupi_light import PathLUPILight

REAL = torch.ones(1, 7, dtype=torch.bool)


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, 7, 12, generator=torch.Generator().manual_seed(1))


def encoder(**settings) -> PathLUPILight:
    torch.manual_seed(0)
    return PathLUPILight(12, **settings).eval()


def test_the_mean_of_the_kept_tokens_is_the_averaged_embedding(features):
    apart, averaged = encoder(flatten=True), encoder(flatten=False)
    tokens = apart(features, REAL).embedding.unflatten(1, (8, -1))
    torch.testing.assert_close(tokens.mean(dim=1), averaged(features, REAL).embedding)


def test_attention_does_not_depend_on_how_tokens_are_read_out(features):
    torch.testing.assert_close(
        encoder(flatten=True)(features, REAL).attention, encoder(flatten=False)(features, REAL).attention
    )


def test_evidence_is_exact_with_the_tokens_kept_apart(features):
    apart = encoder(flatten=True)
    weight = torch.randn(3, apart.width)
    logits = weight @ apart(features, REAL).embedding[0]
    torch.testing.assert_close(apart.evidence(features[0], weight).sum(dim=0), logits, rtol=1e-5, atol=1e-5)


def test_the_tokens_follow_the_slide():
    network = encoder(tokens=4, flatten=True)
    one, other = torch.randn(1, 7, 12), torch.randn(1, 7, 12)
    first = torch.cat([one[:, :1], other[:, 1:]], dim=1)
    ratios = [network.attend(bag, REAL)[1][0] for bag in (other, first)]
    # the ratio of the shares of two unchanged tiles would stay, if tokens were the same for every slide
    moved = ratios[0][:, 2] / ratios[0][:, 1] - ratios[1][:, 2] / ratios[1][:, 1]
    assert moved.abs().max() > 1e-6


def test_a_blank_tile_gives_finite_gradients():
    network = encoder()
    with torch.no_grad():
        network.wsi_net[0].bias.fill_(-1.0)
    network(torch.zeros(1, 7, 12), REAL).embedding.sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in network.parameters())

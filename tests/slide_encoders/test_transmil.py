"""What TransMIL's approximation is worth, and what order does to it."""

import pytest
import torch

from napari_pathlupi.slide_encoders._nystrom import NystromAttention, pseudo_inverse
from napari_pathlupi.slide_encoders.transmil import TransMIL


def test_the_pseudo_inverse_of_shares_is_one():
    matrix = (3 * torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))).softmax(dim=-1)
    matrix = 0.7 * torch.eye(6) + 0.3 * matrix
    torch.testing.assert_close(pseudo_inverse(matrix) @ matrix, torch.eye(6).expand(2, -1, -1), rtol=0, atol=1e-3)


def test_with_a_landmark_for_each_token_the_attention_is_exact():
    torch.manual_seed(0)
    layer = NystromAttention(16, heads=2, landmarks=8, dropout=0.0)
    tokens = torch.randn(1, 8, 16)
    with torch.no_grad():
        layer.near.weight.zero_()
        q, k, v = layer.to_qkv(tokens).view(1, 8, 3, 2, 8).permute(2, 0, 3, 1, 4)
        exact = ((q @ k.mT * 8**-0.5).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
        torch.testing.assert_close(layer(tokens), layer.to_out(exact), rtol=0, atol=2e-2)


def test_the_order_of_the_tiles_matters_as_declared():
    torch.manual_seed(0)
    network, features = TransMIL(12).eval(), torch.randn(1, 30, 12)
    real = torch.ones(1, 30, dtype=torch.bool)
    assert not network.order_free
    assert (network(features, real).embedding - network(features.flip(1), real).embedding).abs().max() > 1e-3


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 36, 37])
def test_any_number_of_tiles_fills_a_square(count):
    torch.manual_seed(0)
    network = TransMIL(12).eval()
    encoded = network(torch.randn(1, count, 12), torch.ones(1, count, dtype=torch.bool))
    assert encoded.embedding.isfinite().all()
    torch.testing.assert_close(encoded.attention.sum(), torch.tensor(1.0))

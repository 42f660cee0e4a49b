"""The ABMIL baseline of Threads beside its equations in numpy."""

import numpy as np
import torch
from scipy.special import erf, softmax

from napari_pathlupi.slide_encoders.abmil_plain import ABMILPlain


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def test_embedding_and_attention_are_those_of_the_equations() -> None:
    torch.manual_seed(0)
    encoder = ABMILPlain(6, hidden=4).double().eval()
    tiles = np.random.default_rng(1).normal(size=(9, 6))
    first, last = encoder.before[0], encoder.after[0]
    w1, b1, w2, b2 = (part.detach().numpy() for part in (first.weight, first.bias, last.weight, last.bias))
    v, c = (part.detach().numpy() for part in (encoder.content[0].weight, encoder.content[0].bias))
    seen = _gelu(tiles @ w1.T + b1)
    shares = softmax(np.tanh(seen @ v.T + c) @ encoder.score.weight.detach().numpy()[0])
    expected = _gelu(shares @ seen @ w2.T + b2)
    with torch.no_grad():
        found = encoder(torch.from_numpy(tiles)[None], torch.ones(1, 9, dtype=torch.bool))
    np.testing.assert_allclose(found.embedding[0], expected, rtol=1e-12)
    np.testing.assert_allclose(np.ravel(found.attention), shares, rtol=1e-12)

"""ABMIL as Threads has it for a baseline: attention without a gate, between two layers that keep the width."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._pooling import shares_of
from napari_pathlupi.slide_encoders._stream import Rows, RunningPool, Stream


def _layer(dim: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Dropout(dropout))


class ABMILPlain(SlideEncoder):
    """The attention-weighted mean of tiles after one layer, and another layer on it.

    ::

        h_n = drop GELU(Linear x_n)                  dim -> dim                before
        a   = softmax_n(w · drop tanh(V h_n))        one score per tile        content, score
        z   = drop GELU(Linear sum_n a_n h_n)        dim -> dim                after

    Ilse, Tomczak and Welling, ICML 2018, equation 8; layers, widths and dropouts are those of the baseline of Threads
    (arXiv 2501.16652, Online Methods) in Patho-Bench's configuration: 768 numbers, one head of 512, not gated. The
    layer after the pooling is not linear, so a tile has no exact share in an answer.

    Parameters
    ----------
    dim
        Length of a tile's feature vector, and of the embedding.
    hidden
        Rows of ``V``.
    dropout, attention_dropout
        Of both layers, and of the attention, in training.
    """

    streams: ClassVar[bool] = True

    def __init__(self, dim: int, hidden: int = 512, dropout: float = 0.1, attention_dropout: float = 0.25) -> None:
        super().__init__()
        self.width = dim
        self.before, self.after = _layer(dim, dropout), _layer(dim, dropout)
        self.content = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Dropout(attention_dropout))
        self.score = nn.Linear(hidden, 1, bias=False)  # one number added to every score changes no share

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        tiles = self.before(features)
        shares = shares_of(self.score(self.content(tiles))[..., 0], real)
        return Encoded(self.after(torch.einsum("sn,snd->sd", shares, tiles)), shares)

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _PooledParts(self)


class _PooledParts(Stream):
    """Of a tile is kept its score."""

    def __init__(self, encoder: ABMILPlain) -> None:
        self._encoder, self._pool, self._scores = encoder, RunningPool(), Rows()

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        tiles = self._encoder.before(features)
        scores = self._encoder.score(self._encoder.content(tiles))  # n 1
        self._pool.add(scores.mT, tiles)
        self._scores.add(scores)

    def encoded(self) -> Encoded:
        return Encoded(self._encoder.after(self._pool.mean.to(self._scores.all)), None)

    def attention(self) -> Float[Tensor, " tiles"]:
        return self._pool.shares(self._scores.all.mT)[0]


ENCODER = ABMILPlain

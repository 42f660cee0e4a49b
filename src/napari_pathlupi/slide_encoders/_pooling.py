"""Attention pooling: a slide embedding that is a weighted sum of its tiles."""

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._stream import Rows, RunningPool, Stream


class GatedAttention(nn.Module):
    """One score per tile and head, ``w · (tanh(V h) * sigmoid(U h))``.

    Ilse, Tomczak and Welling, "Attention-based deep multiple instance learning", ICML 2018, equation 9.

    Parameters
    ----------
    width
        Length of a tile's vector ``h``.
    hidden
        Rows of ``V`` and ``U``.
    heads
        How many ``w`` there are.
    dropout
        Of both factors, in training.
    """

    def __init__(self, width: int, hidden: int, heads: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.content = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        # no bias: one number added to every score changes no share
        self.score = nn.Linear(hidden, heads, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(self, tiles: Float[Tensor, "slides tiles width"]) -> Float[Tensor, "slides heads tiles"]:
        """Return the score of each tile in each head."""
        gated = self.drop(self.content(tiles).tanh()) * self.drop(self.gate(tiles).sigmoid())  # s n g
        scores: Tensor = self.score(gated).mT  # s h n
        return scores


def shares_of(
    scores: Float[Tensor, "slides *heads tiles"], real: Bool[Tensor, "slides *#heads tiles"]
) -> Float[Tensor, "slides *heads tiles"]:
    """Return the softmax of the scores over the real tiles; padding weighs exactly zero."""
    return scores.masked_fill(~real, -torch.inf).softmax(dim=-1)


class AttentionPooling(SlideEncoder):
    """A slide encoder whose embedding is, head by head, a weighted sum of tile vectors.

    Then a linear head on it falls apart into tiles exactly:
    ``weight @ embedding = sum_n sum_h share_hn (weight_h · tile_n)``.
    """

    @abstractmethod
    def attend(
        self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]
    ) -> tuple[Float[Tensor, "slides tiles part"], Float[Tensor, "slides heads tiles"]]:
        """Return the vector of each tile and the share at which each head takes it."""

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        tiles, shares = self.attend(features, real)
        embedding = torch.einsum("shn,snp->shp", shares, tiles).flatten(1)
        return Encoded(embedding, shares.mean(dim=1), shares, tiles=tiles)

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        real = torch.ones(1, len(features), dtype=torch.bool, device=features.device)
        tiles, shares = self.attend(features[None], real)
        by_head = weight.reshape(len(weight), shares.shape[1], -1)  # c h p
        return torch.einsum("hn,nch->nc", shares[0], torch.einsum("np,chp->nch", tiles[0], by_head))


class GatedPooling(AttentionPooling):
    """Tiles pass one linear layer and are pooled by gated attention, head by head.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    width
        Length of a projected tile, and so of the embedding of one head.
    hidden
        Width of the gate.
    dropout
        Share of a projected tile's numbers set to zero in training.
    heads
        How many scores each tile has.
    """

    streams: ClassVar[bool] = True

    def __init__(self, dim: int, width: int, hidden: int, dropout: float, heads: int = 1) -> None:
        super().__init__()
        self.width = heads * width
        self.project = nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout))
        self.gate = GatedAttention(width, hidden, heads)

    def attend(
        self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]
    ) -> tuple[Float[Tensor, "slides tiles part"], Float[Tensor, "slides heads tiles"]]:
        tiles = self.project(features)  # s n p
        return tiles, shares_of(self.gate(tiles), real[:, None])

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _PooledParts(self, weight)


class _PooledParts(Stream):
    """Of a tile are kept its scores, and how much it speaks for each output before it is weighed."""

    def __init__(self, encoder: GatedPooling, weight: Tensor) -> None:
        self._encoder, self._pool = encoder, RunningPool()
        self._scores, self._spoken = Rows(), Rows()
        self._by_head = weight.view(len(weight), encoder.gate.score.out_features, -1)

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        tiles = self._encoder.project(features)
        scores = self._encoder.gate(tiles[None])[0]  # h n
        self._pool.add(scores, tiles)
        self._scores.add(scores.mT)
        self._spoken.add(torch.einsum("np,chp->nch", tiles, self._by_head))

    def encoded(self) -> Encoded:
        return Encoded(self._pool.mean.reshape(1, -1).to(self._by_head), None)

    def attention(self) -> Float[Tensor, " tiles"]:
        return self._shares().mean(dim=0)

    def evidence(self) -> Float[Tensor, "tiles classes"]:
        return torch.einsum("hn,nch->nc", self._shares(), self._spoken.all)

    def _shares(self) -> Float[Tensor, "heads tiles"]:
        return self._pool.shares(self._scores.all.mT)

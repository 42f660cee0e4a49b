"""Threads' slide encoder: gated attention in several heads, each over its own part of a tile's vector."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._pooling import GatedAttention, shares_of
from napari_pathlupi.slide_encoders._stream import RunningPool, Stream

PAPER_DIM, PAPER_WIDTH, PAPER_HEADS = 768, 1024, 2
"""Of the model that the paper proposes: CONCH v1.5 tiles, width and heads; 11.3 million parameters."""


def _block(before: int, after: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after), nn.LayerNorm(after), nn.GELU(), nn.Dropout(dropout))


class Threads(SlideEncoder):
    """Tiles pass three layers, are widened and cut into one part per head; each head pools its part.

    ::

        x = 3 blocks of Linear, LN, GELU, drop               tile, dim -> P                before
        x = Linear, LN, GELU, drop; cut into M parts         P -> M P, contiguous          expand
        a_m = softmax_n(w_m · (drop tanh V_m x_m * drop sigmoid U_m x_m))                  gates.m
        s_m = sum_n a_mn x_mn                                one vector per head
        z = Linear(s_1 … s_M)                                M P -> P                      after

    Vaidya et al., "Molecular-driven foundation model for oncologic pathology" (Threads), arXiv 2501.16652, Online
    Methods. The layers are those that agree with the parameters the paper counts for 1, 2, 4 and 6 heads (5.0, 11.3,
    19.7 and 28.1 million at 768 -> 1,024); with one head neither ``expand`` nor ``after`` is there. The layer norm of
    ``expand``, which those numbers leave open, and no bias in ``w``, which changes no share, are our choice, and so is
    the small default width: the paper's is `PAPER_WIDTH`. No place of a tile is read; the slides of a patient are one
    bag.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    width
        Length P of a tile within a head, of the gate's rows, and of the embedding.
    heads
        How many, M.
    dropout
        Of each block, in training.
    gate_dropout
        Of both factors of the gate, in training.
    """

    streams: ClassVar[bool] = True

    def __init__(
        self, dim: int, width: int = 64, heads: int = PAPER_HEADS, dropout: float = 0.1, gate_dropout: float = 0.25
    ) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.before = nn.Sequential(*(_block(dim if not i else width, width, dropout) for i in range(3)))
        self.expand = _block(width, heads * width, dropout) if heads > 1 else None
        self.gates = nn.ModuleList(GatedAttention(width, width, dropout=gate_dropout) for _ in range(heads))
        self.after = nn.Linear(heads * width, width) if heads > 1 else None

    def parts(
        self, features: Float[Tensor, "slides tiles dim"]
    ) -> tuple[Float[Tensor, "slides tiles heads part"], Float[Tensor, "slides heads tiles"]]:
        """Return what each head pools of each tile, and its score before the softmax."""
        tiles = self.before(features)
        parts = (tiles if self.expand is None else self.expand(tiles)).unflatten(-1, (self.heads, -1))
        return parts, torch.cat([gate(parts[:, :, head]) for head, gate in enumerate(self.gates)], dim=1)

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        parts, scores = self.parts(features)
        shares = shares_of(scores, real[:, None])
        pooled = torch.einsum("shn,snhp->shp", shares, parts)
        return Encoded(self.join(pooled), shares.mean(dim=1), shares)

    def join(self, pooled: Float[Tensor, "slides heads part"]) -> Float[Tensor, "slides width"]:
        """Return the embedding of slides from what each head pooled."""
        joined: Tensor = pooled.flatten(1) if self.after is None else self.after(pooled.flatten(1))
        return joined

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        """Return the exact share of each tile in ``weight @ embedding``.

        Of what the bias of ``after`` adds, a tile has as much as it has of the attention (our choice).
        """
        parts, scores = self.parts(features[None])
        return _weighed(scores[0].softmax(dim=-1), self.spoken(parts[0], weight))

    def spoken(
        self, parts: Float[Tensor, "tiles heads part"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "heads tiles classes"]:
        """Return how much a tile speaks in each head for each class, before it is weighed."""
        if self.after is None:
            return torch.einsum("nhp,cp->hnc", parts, weight)
        by_head = (weight @ self.after.weight).reshape(len(weight), self.heads, -1)
        return torch.einsum("nhp,chp->hnc", parts, by_head) + weight @ self.after.bias / self.heads

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _PooledHeads(self, weight)


def _weighed(
    shares: Float[Tensor, "heads tiles"], spoken: Float[Tensor, "heads tiles classes"]
) -> Float[Tensor, "tiles classes"]:
    return (shares[..., None] * spoken).sum(dim=0)


class _PooledHeads(Stream):
    """Of a tile are kept its scores, and how much it speaks for each output before it is weighed."""

    def __init__(self, encoder: Threads, weight: Tensor) -> None:
        self._encoder, self._weight, self._pool = encoder, weight, RunningPool()
        self._scores: list[Tensor] = []
        self._spoken: list[Tensor] = []

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        parts, scores = self._encoder.parts(features[None])
        self._pool.add(scores[0][:, None], parts[0].transpose(0, 1))
        self._scores.append(scores[0])
        self._spoken.append(self._encoder.spoken(parts[0], self._weight))

    def encoded(self) -> Encoded:
        pooled = self._pool.mean[:, 0].to(self._weight)
        return Encoded(self._encoder.join(pooled[None]), None)

    def attention(self) -> Float[Tensor, " tiles"]:
        return torch.cat([self._shares(scores).mean(dim=0) for scores in self._scores])

    def evidence(self) -> Float[Tensor, "tiles classes"]:
        parts = zip(self._scores, self._spoken, strict=True)
        return torch.cat([_weighed(self._shares(scores), spoken) for scores, spoken in parts])

    def look(self, features: Float[Tensor, "tiles dim"]) -> Float[Tensor, "heads tiles"]:
        return self._shares(self._encoder.parts(features[None])[1][0])

    def _shares(self, scores: Float[Tensor, "heads tiles"]) -> Float[Tensor, "heads tiles"]:
        return self._pool.shares(scores[:, None])[:, 0]


ENCODER = Threads

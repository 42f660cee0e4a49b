"""TransMIL: tiles tell each other what they saw, each where it comes in the order of reading."""

from math import ceil, sqrt
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._nystrom import NystromAttention


class TransMIL(SlideEncoder):
    """A class token after two layers of self-attention, with convolutions between them.

    Shao et al., "TransMIL", NeurIPS 2021: tiles pass a linear layer, the first ones are repeated until they fill a
    square, a class token goes before them; attention, convolutions of 7, 5 and 3 over the square (PPEG), attention,
    layer norm. Landmarks, heads and dropout as in the published code; the width is our choice (published: 512).

    **The order of the tiles matters**: the square is filled row by row in the order of reading, which is not where
    the tiles lie on the slide. The published code does the same.

    Attention is the exact share at which the class token takes each tile in the second layer, mean of the heads, the
    class token itself left out. The layer works with an approximation of these shares whose entries may be negative,
    so this map says less about the answer than that of a pooling does (our choice).

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    width
        Length of a token, and so of the embedding; a multiple of ``heads``.
    heads
        Of the attention.
    dropout
        Of the attention's result, in training.
    """

    order_free: ClassVar[bool] = False

    def __init__(self, dim: int, width: int = 64, heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Sequential(nn.Linear(dim, width), nn.ReLU())
        self.class_token = nn.Parameter(torch.randn(1, 1, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.first, self.second = (NystromAttention(width, heads, width // 2, dropout) for _ in range(2))
        self.place = nn.ModuleList(nn.Conv2d(width, width, k, padding=k // 2, groups=width) for k in (7, 5, 3))

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        counts = real.sum(dim=1)
        embedding = features.new_zeros(len(features), self.width)
        attention = torch.zeros_like(features[..., 0])
        for count in set(counts.tolist()):  # slides of one size share a square
            alike = (counts == count).nonzero()[:, 0]
            tiles = features[alike][real[alike]].view(len(alike), count, -1)
            tokens, shares = self._alike(tiles)
            embedding = embedding.index_copy(0, alike, tokens)
            spread = torch.zeros_like(attention[alike]).masked_scatter(real[alike], shares)
            attention = attention.index_copy(0, alike, spread)
        return Encoded(embedding, attention)

    def _alike(
        self, features: Float[Tensor, "slides tiles dim"]
    ) -> tuple[Float[Tensor, "slides width"], Float[Tensor, "slides tiles"]]:
        tiles = self.project(features)
        count = tiles.shape[1]
        side = ceil(sqrt(count))
        repeated = side * side - count
        tiles = torch.cat([tiles, tiles[:, :repeated]], dim=1)
        tokens = torch.cat([self.class_token.expand(len(tiles), -1, -1), tiles], dim=1)
        tokens = tokens + self.first(self.norms[0](tokens))
        tokens = torch.cat([tokens[:, :1], self._placed(tokens[:, 1:], side)], dim=1)
        normed = self.norms[1](tokens)
        shares = self.second.shares_of_first(normed).mean(dim=1)  # s n
        shares = shares[:, :count] + torch.nn.functional.pad(shares[:, count:], (0, count - repeated))
        return self.norms[2](tokens + self.second(normed))[:, 0], shares

    def _placed(self, tiles: Float[Tensor, "slides tiles width"], side: int) -> Float[Tensor, "slides tiles width"]:
        square = tiles.mT.reshape(len(tiles), self.width, side, side)
        placed = torch.stack([square, *(convolve(square) for convolve in self.place)]).sum(dim=0)
        return placed.flatten(2).mT


ENCODER = TransMIL

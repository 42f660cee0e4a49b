"""Max pooling: what the most extreme tile of each feature can tell."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._stream import Stream


class Max(SlideEncoder):
    """The largest value of each feature over the tiles, with nothing to learn.

    Parameters
    ----------
    dim
        Length of a tile's feature vector, and so of the embedding.
    """

    gives_attention: ClassVar[bool] = False
    streams: ClassVar[bool] = True

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.width = dim

    def forward(self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]) -> Encoded:
        return Encoded(features.masked_fill(~real[..., None], -torch.inf).amax(dim=1), None)

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        largest, where = features.max(dim=0)  # d
        evidence = features.new_zeros(len(features), len(weight))
        return evidence.index_add(0, where, (weight * largest).mT)

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _MaxParts(weight)


class _MaxParts(Stream):
    def __init__(self, weight: Tensor) -> None:
        self._weight, self._count = weight, 0
        self._largest = torch.full_like(weight[0], -torch.inf)
        self._where = torch.zeros_like(weight[0], dtype=torch.long)

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        largest, where = features.max(dim=0)
        larger = largest > self._largest
        self._largest = largest.where(larger, self._largest)
        self._where = (where + self._count).where(larger, self._where)
        self._count += len(features)

    def encoded(self) -> Encoded:
        return Encoded(self._largest[None], None)

    def evidence(self) -> Float[Tensor, "tiles classes"]:
        empty = self._weight.new_zeros(self._count, len(self._weight))
        return empty.index_add(0, self._where, (self._weight * self._largest).mT)


ENCODER = Max

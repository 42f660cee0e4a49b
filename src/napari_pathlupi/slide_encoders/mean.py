"""Mean pooling: what the average tile alone can tell."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder
from napari_pathlupi.slide_encoders._stream import Rows, Stream, precise


class Mean(SlideEncoder):
    """The mean of the tile vectors, with nothing to learn.

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
        total = features.masked_fill(~real[..., None], 0).sum(dim=1)
        return Encoded(total / real.sum(dim=1, keepdim=True), None)

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        return features @ weight.T / len(features)

    def stream(self, weight: Float[Tensor, "classes width"]) -> Stream:
        return _MeanParts(weight)


class _MeanParts(Stream):
    def __init__(self, weight: Tensor) -> None:
        self._weight, self._count = weight, 0
        self._total = torch.zeros(weight.shape[1], dtype=torch.float64)
        self._spoken = Rows()

    def add(self, features: Float[Tensor, "tiles dim"]) -> None:
        self._total += precise(features.sum(dim=0))
        self._count += len(features)
        self._spoken.add(features @ self._weight.T)

    def encoded(self) -> Encoded:
        return Encoded((self._total / self._count).to(self._weight)[None], None)

    def evidence(self) -> Float[Tensor, "tiles classes"]:
        return self._spoken.all / self._count


ENCODER = Mean

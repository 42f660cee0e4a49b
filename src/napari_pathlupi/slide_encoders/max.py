"""Max pooling: what the most extreme tile of each feature can tell."""

from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder


class Max(SlideEncoder):
    """The largest value of each feature over the tiles, with nothing to learn.

    Parameters
    ----------
    dim
        Length of a tile's feature vector, and so of the embedding.
    """

    gives_attention: ClassVar[bool] = False

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


ENCODER = Max

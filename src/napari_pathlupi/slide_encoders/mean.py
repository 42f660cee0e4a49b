"""Mean pooling: what the average tile alone can tell."""

from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from napari_pathlupi.slide_encoders._encoder import Encoded, SlideEncoder


class Mean(SlideEncoder):
    """The mean of the tile vectors, with nothing to learn.

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
        total = features.masked_fill(~real[..., None], 0).sum(dim=1)
        return Encoded(total / real.sum(dim=1, keepdim=True), None)

    def evidence(
        self, features: Float[Tensor, "tiles dim"], weight: Float[Tensor, "classes width"]
    ) -> Float[Tensor, "tiles classes"]:
        return features @ weight.T / len(features)


ENCODER = Mean

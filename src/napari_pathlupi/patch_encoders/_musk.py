"""The image part of MUSK's network, in torch."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


class ImagePart(nn.Module):
    """A network of images and text that is only shown images.

    Parameters
    ----------
    whole
        As the package ``musk`` builds it.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, planes: Float[Tensor, "tiles 3 side side"]) -> Float[Tensor, "tiles dim"]:
        vectors: Tensor = self.whole(image=planes, with_head=False, out_norm=False, ms_aug=False, return_global=True)[0]
        return vectors

"""The image part of KEEP, in torch."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize


class OfLengthOne(nn.Module):
    """A trunk and two layers, the result brought to length 1; names are those of the published tensors.

    Parameters
    ----------
    visual
        Gives one vector per tile, of ``embed_dim``.
    dim
        Length of the projected vector.
    """

    def __init__(self, visual: Any, dim: int) -> None:
        super().__init__()
        self.visual = visual
        self.visual_head = nn.Sequential(nn.Linear(visual.embed_dim, dim), nn.GELU(), nn.Linear(dim, dim))

    def forward(self, planes: Float[Tensor, "tiles 3 side side"]) -> Float[Tensor, "tiles dim"]:
        return normalize(self.visual_head(self.visual(planes)), dim=-1)


def image_part(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the image part; the scales of layers, "weight" there, are timm's "gamma"."""
    image = {name: value for name, value in published.items() if name.startswith(("visual.", "visual_head."))}
    return {
        name.replace(".ls1.weight", ".ls1.gamma").replace(".ls2.weight", ".ls2.gamma"): value
        for name, value in image.items()
    }

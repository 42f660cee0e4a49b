"""The network of CTransPath, in torch."""

import re
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from napari_pathlupi.patch_encoders._timm import timm


class Stem(nn.Module):
    """Three convolutions that quarter the side, in place of a patch embedding (Wang et al. 2022, section 3.1).

    Parameters
    ----------
    img_size, patch_size, in_chans, embed_dim
        As timm gives them to any patch embedding.
    norm_layer
        Of the tokens.
    **more
        Where and how timm wants the tensors made.
    """

    def __init__(
        self,
        img_size: int,
        patch_size: int,
        in_chans: int,
        embed_dim: int,
        norm_layer: type[nn.Module] = nn.LayerNorm,
        **more: object,
    ) -> None:
        super().__init__()
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        few, twice = embed_dim // 8, embed_dim // 4
        self.proj = nn.Sequential(
            *(nn.Conv2d(in_chans, few, 3, 2, 1, bias=False), nn.BatchNorm2d(few), nn.ReLU()),
            *(nn.Conv2d(few, twice, 3, 2, 1, bias=False), nn.BatchNorm2d(twice), nn.ReLU()),
            nn.Conv2d(twice, embed_dim, 1),
        )
        self.norm = norm_layer(embed_dim)

    def forward(self, planes: Float[Tensor, "tiles 3 side side"]) -> Float[Tensor, "tiles rows columns width"]:
        tokens: Tensor = self.norm(self.proj(planes).permute(0, 2, 3, 1))
        return tokens


def swin_behind_convolutions() -> nn.Module:
    """Return Swin-T of timm with this stem, its last tokens averaged."""
    swin = timm().models.swin_transformer.SwinTransformer(img_size=224, num_classes=0, embed_layer=Stem)
    network: nn.Module = swin
    return network


def renamed(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under timm's names of today.

    Stages were halved at their end, now at their beginning; tables that follow from the size of the tile, and the
    classifier, are left out.
    """
    kept = {
        name: value
        for name, value in published.items()
        if not name.endswith(("attn_mask", "relative_position_index")) and not name.startswith("head.")
    }
    return {
        re.sub(r"layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) + 1}.downsample", name): value
        for name, value in kept.items()
    }

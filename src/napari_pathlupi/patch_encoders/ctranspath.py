"""CTransPath: a small Swin transformer behind a stem of convolutions, as given out with CHIEF."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Architecture, Preparation, Weights

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors


@dataclass(frozen=True, slots=True)
class SwinBehindConvolutions(Architecture):
    """Swin-T of timm with CTransPath's stem; the mean over its last tokens."""

    @property
    def requires(self) -> tuple[str, ...]:
        return ("timm",)

    def build(self) -> "Module":
        """Return the network."""
        from napari_pathlupi.patch_encoders._swin import swin_behind_convolutions

        return swin_behind_convolutions()

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return tensors of the timm of 2021 under the names of today's."""
        from napari_pathlupi.patch_encoders._swin import renamed

        return renamed(published)


ENCODER = PretrainedEncoder(
    name="ctranspath",
    title="CTransPath (Swin-T)",
    dim=768,
    tile_px=256,
    mpp=1.0,
    licence="GPL-3.0 (the file of CHIEF: AGPL-3.0)",
    source="Wang et al., Medical Image Analysis 81 (2022) 102559",
    note="Sees tiles at 1.0 µm/px, half as fine as the others.",
    preparation=Preparation(resize_px=224),
    architecture=SwinBehindConvolutions(),
    weights=Weights("", page="https://github.com/Xiyue-Wang/TransPath", parameters="28 M"),
)

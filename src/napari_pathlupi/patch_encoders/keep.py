"""KEEP: UNI's network, trained with text, and two layers that project into the space it shares with text.

Its own code replaces a layer of timm for the whole process; here the published tensors are given to timm's as it is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Architecture, Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors


@dataclass(frozen=True, slots=True)
class Projected(Architecture):
    """A vision transformer of timm whose class token is projected and brought to length 1.

    Parameters
    ----------
    visual
        The transformer.
    """

    visual: VisionTransformer

    def build(self) -> "Module":
        """Return the network."""
        from napari_pathlupi.patch_encoders._keep import OfLengthOne

        return OfLengthOne(self.visual.trunk(), 768)

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return the image part, with timm's name for the scales of the layers."""
        from napari_pathlupi.patch_encoders._keep import image_part

        return image_part(published)


ENCODER = PretrainedEncoder(
    name="keep",
    title="KEEP (ViT-L/16)",
    dim=768,
    tile_px=256,
    mpp=0.5,
    licence="MIT",
    source="Zhou et al., Cancer Cell (2026), 10.1016/j.ccell.2026.01.019",
    note="Projected into the space it shares with text, and of length 1.",
    preparation=Preparation(resize_px=224, interpolation="bicubic"),
    architecture=Projected(VisionTransformer("vit_large_patch16_224", {"init_values": 1e-5})),
    weights=Weights("Astaxanthin/KEEP", ("model.safetensors",)),
    precision="float16",
)

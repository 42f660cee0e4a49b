"""CONCH and CONCH 1.5 of the Mahmood Lab: vision transformers whose tokens are pooled by one learned query."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Architecture, Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors


@dataclass(frozen=True, slots=True)
class QueriedTokens(Architecture):
    """A vision transformer of timm and the pooling of CONCH.

    Parameters
    ----------
    trunk
        The transformer.
    dim
        Length of the vector.
    prefix
        Of the names of the image part in the published file.
    biased
        Whether the projections are biased and the query's own (CONCH 1), or keys and values share one (CONCH 1.5).
    """

    trunk: VisionTransformer
    dim: int
    prefix: str
    biased: bool

    def build(self) -> "Module":
        """Return the network."""
        from napari_pathlupi.patch_encoders._conch import Queried

        return Queried(self.trunk.trunk(), self.dim, self.biased)

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return the image part without what only captions and the comparison with text need."""
        from napari_pathlupi.patch_encoders._conch import image_part

        return image_part(published, network, self.prefix, as_published_at_224=not self.biased)


def _trunk(model: str, arguments: Mapping[str, Any]) -> VisionTransformer:
    return VisionTransformer(model, {"img_size": 448, **arguments})


CONCH = PretrainedEncoder(
    name="conch-v1",
    title="CONCH (ViT-B/16)",
    dim=512,
    tile_px=512,
    mpp=0.5,
    licence="CC-BY-NC-ND-4.0",
    source="Lu et al., Nature Medicine 30 (2024) 863-874",
    gated=True,
    aliases=("conch_v1",),
    note="Before the projection that compares with text, as its publishers advise for features.",
    preparation=Preparation(
        448,
        resize_px=448,
        interpolation="bicubic",
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    ),
    architecture=QueriedTokens(_trunk("vit_base_patch16_224", {}), 512, "visual.", biased=True),
    weights=Weights("MahmoodLab/CONCH", ("pytorch_model.bin",), parameters="395 M", of_whole_file=True),
)

ENCODERS = (
    CONCH,
    replace(
        CONCH,
        name="conch-v1-5",
        title="CONCH 1.5 (ViT-L/16)",
        dim=768,
        source="Ding et al., Nature Medicine (2025), 10.1038/s41591-025-03982-3",
        aliases=("conch_v15",),
        note="Its position embeddings are resized from 14 x 14 patches as its publishers do it at 448 px.",
        preparation=Preparation(448, resize_px=448),
        architecture=QueriedTokens(_trunk("vit_large_patch16_224", {"init_values": 1.0}), 768, "", biased=False),
        weights=Weights("MahmoodLab/conchv1_5", ("pytorch_model_vision.bin",)),
        precision="float16",
    ),
)

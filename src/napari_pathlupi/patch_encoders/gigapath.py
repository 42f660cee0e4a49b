"""The tile encoder of Prov-GigaPath."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

ENCODER = PretrainedEncoder(
    name="gigapath",
    title="Prov-GigaPath (ViT-g/16)",
    dim=1536,
    tile_px=256,
    mpp=0.5,
    licence="Apache-2.0 with conditions (non-commercial)",
    source="Xu et al., Nature 630 (2024) 181-188",
    gated=True,
    preparation=Preparation(resize_px=256, interpolation="bicubic"),
    architecture=VisionTransformer(
        "vit_giant_patch14_dinov2", {"img_size": 224, "patch_size": 16, "mlp_ratio": 5.33334, "init_values": 1e-5}
    ),
    weights=Weights("prov-gigapath/prov-gigapath", parameters="1.13 B"),
    precision="float16",
)

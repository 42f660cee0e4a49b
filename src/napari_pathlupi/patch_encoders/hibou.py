"""Hibou-B and Hibou-L of HistAI.

Their own code adds registers to transformers 4 and does not run with transformers 5; the network is plain DINOv2 with
registers, so their tensors are given to timm's.
"""

from dataclasses import replace

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

BASE = VisionTransformer(
    "vit_base_patch14_reg4_dinov2",
    {"img_size": 224, "init_values": 1.0, "mlp_ratio": 4096.5 / 768},
    swiglu=True,
    layout="transformers",
    positions="bicubic",
)

HIBOU_B = PretrainedEncoder(
    name="hibou-b",
    title="Hibou-B (ViT-B/14)",
    dim=768,
    tile_px=224,
    mpp=0.5,
    licence="Apache-2.0",
    source="Nechaev et al., arXiv 2406.05074",
    gated=True,
    preparation=Preparation(mean=(0.7068, 0.5755, 0.722), std=(0.195, 0.2316, 0.1816)),
    architecture=BASE,
    weights=Weights("histai/hibou-b", parameters="85.7 M"),
)

ENCODERS = (
    HIBOU_B,
    replace(
        HIBOU_B,
        name="hibou-l",
        title="Hibou-L (ViT-L/14)",
        dim=1024,
        aliases=("hibou_l",),
        architecture=replace(
            BASE, model="vit_large_patch14_reg4_dinov2", arguments={**BASE.arguments, "mlp_ratio": 5472.5 / 1024}
        ),
        weights=Weights("histai/hibou-L", parameters="304 M"),
    ),
)

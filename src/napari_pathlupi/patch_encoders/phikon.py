"""Phikon and Phikon-v2 of Owkin."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

ENCODERS = (
    PretrainedEncoder(
        name="phikon",
        title="Phikon (ViT-B/16)",
        dim=768,
        tile_px=224,
        mpp=0.5,
        licence="Owkin non-commercial licence",
        source="Filiot et al., medRxiv 2023.07.21.23292757",
        preparation=Preparation(),
        architecture=VisionTransformer("vit_base_patch16_224", norm_eps=1e-12, layout="transformers"),
        weights=Weights("owkin/phikon", parameters="86 M"),
    ),
    PretrainedEncoder(
        name="phikon-v2",
        title="Phikon-v2 (ViT-L/16)",
        dim=1024,
        tile_px=224,
        mpp=0.5,
        licence="Owkin non-commercial licence",
        source="Filiot et al., arXiv 2409.09173",
        aliases=("phikon_v2",),
        preparation=Preparation(),
        architecture=VisionTransformer(
            "vit_large_patch16_224", {"init_values": 1e-5}, layout="transformers", positions="bicubic"
        ),
        weights=Weights("owkin/phikon-v2", parameters="303 M"),
    ),
)

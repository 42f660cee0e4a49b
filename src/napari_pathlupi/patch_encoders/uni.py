"""UNI and UNI 2 of the Mahmood Lab."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

LICENCE = "CC-BY-NC-ND-4.0"

ENCODERS = (
    PretrainedEncoder(
        name="uni",
        title="UNI (ViT-L/16)",
        dim=1024,
        tile_px=256,
        mpp=0.5,
        licence=LICENCE,
        source="Chen et al., Nature Medicine 30 (2024) 850-862",
        gated=True,
        aliases=("uni_v1",),
        preparation=Preparation(resize_px=224),
        architecture=VisionTransformer("vit_large_patch16_224", {"init_values": 1e-5}),
        weights=Weights("MahmoodLab/UNI", parameters="303 M"),
        precision="float16",
    ),
    PretrainedEncoder(
        name="uni2-h",
        title="UNI 2 (ViT-H/14)",
        dim=1536,
        tile_px=256,
        mpp=0.5,
        licence=LICENCE,
        source="https://huggingface.co/MahmoodLab/UNI2-h",
        gated=True,
        aliases=("uni_v2",),
        preparation=Preparation(resize_px=224),
        architecture=VisionTransformer(
            "vit_giant_patch14_224",
            {
                "depth": 24,
                "num_heads": 24,
                "embed_dim": 1536,
                "mlp_ratio": 2.66667 * 2,
                "init_values": 1e-5,
                "no_embed_class": True,
                "reg_tokens": 8,
            },
            swiglu=True,
        ),
        weights=Weights("MahmoodLab/UNI2-h", parameters="681 M"),
        precision="bfloat16",
    ),
)

"""Virchow and Virchow 2 of Paige."""

from dataclasses import replace

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

NETWORK = VisionTransformer(
    "vit_huge_patch14_224", {"init_values": 1e-5, "mlp_ratio": 5.3375}, swiglu=True, pooling="cls+mean"
)
WITH_REGISTERS = replace(NETWORK, arguments={**NETWORK.arguments, "reg_tokens": 4})

VIRCHOW = PretrainedEncoder(
    name="virchow",
    title="Virchow (ViT-H/14)",
    dim=2560,
    tile_px=224,
    mpp=0.5,
    licence="Apache-2.0",
    source="Vorontsov et al., Nature Medicine 30 (2024) 2924-2935",
    gated=True,
    note="The class token and the mean of the patch tokens.",
    preparation=Preparation(),
    architecture=NETWORK,
    weights=Weights("paige-ai/Virchow", parameters="631 M"),
    precision="float16",
)

VIRCHOW2 = replace(
    VIRCHOW,
    name="virchow2",
    title="Virchow 2 (ViT-H/14)",
    licence="CC-BY-NC-ND-4.0",
    source="Zimmermann et al., arXiv 2408.00738",
    note="The class token and the mean of the patch tokens; the four register tokens between them are left out.",
    architecture=WITH_REGISTERS,
    weights=Weights("paige-ai/Virchow2", parameters="631 M"),
)

ENCODERS = (
    VIRCHOW,
    VIRCHOW2,
    replace(
        VIRCHOW2,
        name="virchow2-cls",
        title="Virchow 2 (ViT-H/14), class token only",
        dim=1280,
        note="The class token alone.",
        architecture=replace(WITH_REGISTERS, pooling="cls"),
    ),
)

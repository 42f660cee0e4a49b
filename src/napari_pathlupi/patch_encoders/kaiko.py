"""The vision transformers of kaiko.ai: five small to large ones, and Midnight-12k."""

from dataclasses import replace

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import HALF, Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

VITS16 = PretrainedEncoder(
    name="kaiko-vits16",
    title="kaiko ViT-S/16",
    dim=384,
    tile_px=256,
    mpp=0.5,
    licence="see the page of the weights",
    source="kaiko.ai et al., arXiv 2404.15217",
    preparation=Preparation(resize_px=224, mean=HALF, std=HALF),
    architecture=VisionTransformer("vit_small_patch16_224"),
    weights=Weights("1aurent/vit_small_patch16_224.kaiko_ai_towards_large_pathology_fms"),
)

MIDNIGHT_NETWORK = VisionTransformer(
    "vit_giant_patch14_dinov2",
    {"img_size": 224, "init_values": 1e-5},
    layout="transformers",
    pooling="cls+mean",
    positions="bicubic",
)

MIDNIGHT = PretrainedEncoder(
    name="midnight-12k",
    title="Midnight-12k (ViT-g/14)",
    dim=3072,
    tile_px=224,
    mpp=0.5,
    licence="MIT",
    source="Karasikov et al., arXiv 2504.05186",
    note="The class token and the mean of the patch tokens, as its publishers advise for classification. "
    "TRIDENT's midnight12k is the class token alone: midnight-12k-cls. Position embeddings of a larger grid are "
    "resized to 16 x 16 patches as transformers 5 does it.",
    preparation=Preparation(mean=HALF, std=HALF),
    architecture=MIDNIGHT_NETWORK,
    weights=Weights("kaiko-ai/midnight", parameters="1.14 B"),
    precision="float16",
)


def _of_size(size: str, model: str, dim: int) -> PretrainedEncoder:
    return replace(
        VITS16,
        name=f"kaiko-{size}",
        title=f"kaiko ViT-{size[3].upper()}/{size[4:]}",
        dim=dim,
        architecture=VisionTransformer(model),
        weights=Weights(f"1aurent/{model}.kaiko_ai_towards_large_pathology_fms"),
    )


ENCODERS = (
    _of_size("vits8", "vit_small_patch8_224", 384),
    VITS16,
    _of_size("vitb8", "vit_base_patch8_224", 768),
    _of_size("vitb16", "vit_base_patch16_224", 768),
    replace(
        _of_size("vitl14", "vit_large_patch14_reg4_dinov2", 1024),
        note="Its position embeddings are of a grid of 37 x 37 patches, resized to 16 x 16 as timm does it.",
        architecture=VisionTransformer(
            "vit_large_patch14_reg4_dinov2", {"img_size": 224}, positions="bicubic-antialias"
        ),
    ),
    MIDNIGHT,
    replace(
        MIDNIGHT,
        name="midnight-12k-cls",
        title="Midnight-12k (ViT-g/14), class token only",
        dim=1536,
        aliases=("midnight12k",),
        note="The class token alone, as TRIDENT takes it by default.",
        architecture=replace(MIDNIGHT_NETWORK, pooling="cls"),
    ),
)

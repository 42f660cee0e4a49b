"""H-optimus-0, H-optimus-1 and H0-mini of Bioptimus."""

from dataclasses import replace

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

H_OPTIMUS_0 = PretrainedEncoder(
    name="h-optimus-0",
    title="H-optimus-0 (ViT-g/14)",
    dim=1536,
    tile_px=224,
    mpp=0.5,
    licence="Apache-2.0",
    source="https://huggingface.co/bioptimus/H-optimus-0",
    aliases=("hoptimus0",),
    preparation=Preparation(mean=(0.707223, 0.578729, 0.703617), std=(0.211883, 0.230117, 0.177517)),
    architecture=VisionTransformer("vit_giant_patch14_reg4_dinov2", {"img_size": 224, "init_values": 1e-5}),
    weights=Weights("bioptimus/H-optimus-0", parameters="1.13 B"),
    precision="float16",
)

MINI = VisionTransformer(
    "vit_base_patch14_reg4_dinov2",
    {"img_size": 224, "init_values": 1e-5, "mlp_ratio": 2.66667 * 2},
    swiglu=True,
)

H0_MINI = replace(
    H_OPTIMUS_0,
    name="h0-mini",
    title="H0-mini (ViT-B/14)",
    dim=768,
    licence="CC-BY-NC-ND-4.0",
    source="Filiot et al., arXiv 2501.16239",
    gated=True,
    aliases=(),
    note="The class token alone, as TRIDENT takes it; h0-mini-mean adds the mean of the patch tokens.",
    architecture=MINI,
    weights=Weights("bioptimus/H0-mini", parameters="86 M"),
)

ENCODERS = (
    H_OPTIMUS_0,
    replace(
        H_OPTIMUS_0,
        name="h-optimus-1",
        title="H-optimus-1 (ViT-g/14)",
        licence="CC-BY-NC-ND-4.0",
        source="https://huggingface.co/bioptimus/H-optimus-1",
        gated=True,
        aliases=("hoptimus1",),
        weights=Weights("bioptimus/H-optimus-1", parameters="1.13 B"),
    ),
    H0_MINI,
    replace(
        H0_MINI,
        name="h0-mini-mean",
        title="H0-mini (ViT-B/14), class token and mean",
        dim=1536,
        note="The class token and the mean of the patch tokens; the four register tokens between them are left out.",
        architecture=replace(MINI, pooling="cls+mean"),
    ),
)

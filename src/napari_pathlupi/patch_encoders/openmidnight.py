"""OpenMidnight of Sophont and MedARC."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

ENCODER = PretrainedEncoder(
    name="openmidnight",
    title="OpenMidnight (ViT-g/14)",
    dim=1536,
    tile_px=224,
    mpp=0.5,
    licence="Apache-2.0",
    source="https://huggingface.co/SophontAI/OpenMidnight",
    gated=True,
    preparation=Preparation(),
    architecture=VisionTransformer(
        "vit_giant_patch14_reg4_dinov2", {"img_size": 224, "init_values": 1e-5}, layout="dinov2"
    ),
    weights=Weights("SophontAI/OpenMidnight", ("teacher_checkpoint_load.pt",), parameters="1.1 B"),
    precision="float16",
)

"""GPFM of the Hong Kong University of Science and Technology."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

ENCODER = PretrainedEncoder(
    name="gpfm",
    title="GPFM (ViT-L/14)",
    dim=1024,
    tile_px=224,
    mpp=0.5,
    licence="CC-BY-NC-ND-4.0",
    source="Ma et al., Nature Biomedical Engineering (2025), 10.1038/s41551-025-01488-4",
    preparation=Preparation(interpolation="bicubic"),
    architecture=VisionTransformer("vit_large_patch14_dinov2", {"img_size": 224, "init_values": 1e-5}, layout="dinov2"),
    weights=Weights("majiabo/GPFM", ("GPFM.pth",), parameters="303 M"),
    precision="float16",
)

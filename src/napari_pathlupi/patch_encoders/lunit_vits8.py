"""Lunit's small vision transformer of 8 px patches, trained by DINO."""

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation, Weights
from napari_pathlupi.patch_encoders._timm import VisionTransformer

ENCODER = PretrainedEncoder(
    name="lunit-vits8",
    title="Lunit DINO (ViT-S/8)",
    dim=384,
    tile_px=224,
    mpp=0.5,
    licence="Lunit non-commercial licence",
    source="Kang et al., arXiv 2212.04690",
    note="Mean and standard deviation are those its authors trained with; the configuration beside the weights on the "
    "Hub, which TRIDENT follows, was not read and may resize by 1/0.9 before the crop.",
    preparation=Preparation(mean=(0.70322989, 0.53606487, 0.66096631), std=(0.21716536, 0.26081574, 0.20723464)),
    architecture=VisionTransformer("vit_small_patch8_224"),
    weights=Weights("1aurent/vit_small_patch8_224.lunit_dino", parameters="22 M"),
)

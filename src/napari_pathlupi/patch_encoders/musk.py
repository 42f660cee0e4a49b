"""MUSK, through the package of its authors: the network is theirs, and no code is downloaded with the weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import HALF, INSTALL, Architecture, Preparation, Weights
from napari_pathlupi.patch_encoders._timm import timm

if TYPE_CHECKING:
    from torch.nn import Module

    from napari_pathlupi.patch_encoders._published import Tensors


@dataclass(frozen=True, slots=True)
class OfThePackage(Architecture):
    """The network that the package ``musk`` registers with timm, asked for its image part."""

    @property
    def requires(self) -> tuple[str, ...]:
        return ("timm", "huggingface_hub", "musk")

    def build(self) -> "Module":
        """Return the network."""
        from napari_pathlupi.patch_encoders._musk import ImagePart

        library = timm()
        load_extra("musk.modeling", INSTALL["musk"])  # registers the network with timm
        return ImagePart(library.create_model("musk_large_patch16_384"))

    def tensors(self, published: "Tensors", network: "Module") -> "Tensors":
        """Return all tensors: the package names them as the file does."""
        return {f"whole.{name}": value for name, value in published.items()}


ENCODER = PretrainedEncoder(
    name="musk",
    title="MUSK (BEiT-3, L/16)",
    dim=1024,
    tile_px=384,
    mpp=0.5,
    licence="CC-BY-NC-ND-4.0",
    source="Xiang et al., Nature 638 (2025) 769-778",
    gated=True,
    note="Without the projection and without several scales, as TRIDENT takes it.",
    preparation=Preparation(384, interpolation="bicubic", mean=HALF, std=HALF),
    architecture=OfThePackage(),
    weights=Weights("xiangjx/musk", ("model.safetensors",), parameters="675 M", of_whole_file=True),
    precision="float16",
)

"""FEATHER of the Mahmood Lab: an ABMIL trained to tell 108 diagnoses."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathlupi.external_slide_encoders._external import ExternalSlideEncoder

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.external_slide_encoders._external import Embed


def _load(device: str, folder: Path | None) -> "Embed":
    from src.builder import create_model  # type: ignore[import-not-found]

    model: Any = create_model("abmil.base.conch_v15.pc108-24k", from_pretrained=True, num_classes=0).to(device).eval()

    def embed(features: "Tensor", corners_px0: "Tensor", side_px0: int) -> "Tensor":
        made: Tensor = model.forward_features(features)[0]
        return made

    return embed


ENCODER = ExternalSlideEncoder(
    title="FEATHER-24K (CONCH 1.5)",
    width=512,
    patch_encoder="conch-v1-5",
    licence="CC-BY-NC-ND-4.0",
    gated=True,
    source="Shao et al., ICML 2025",
    page="https://huggingface.co/MahmoodLab/abmil.base.conch_v15.pc108-24k",
    libraries=("src.builder",),
    install="pip install git+https://github.com/mahmoodlab/MIL-Lab",
    load=_load,
    note="Its library, MIL-Lab, calls itself src.",
)

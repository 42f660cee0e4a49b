"""FEATHER of the Mahmood Lab: an ABMIL trained to tell 108 diagnoses."""

from pathlib import Path
from typing import Any

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder


def _load(device: str, folder: Path | None) -> Embed:
    from src.builder import create_model  # type: ignore[import-not-found]

    model: Any = create_model("abmil.base.conch_v15.pc108-24k", from_pretrained=True, num_classes=0).to(device).eval()

    return lambda features, *_: model.forward_features(features)[0]


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

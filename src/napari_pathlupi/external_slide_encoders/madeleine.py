"""MADELEINE of the Mahmood Lab: gated attention in four heads, trained across stains."""

from pathlib import Path
from typing import Any

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder


def _load(device: str, folder: Path | None) -> Embed:
    from madeleine.models.factory import create_model_from_pretrained  # type: ignore[import-not-found]

    model: Any = create_model_from_pretrained(str(folder))[0].to(device).eval()

    return lambda features, *_: model.encode_he(features, device)


ENCODER = ExternalSlideEncoder(
    title="MADELEINE",
    width=512,
    patch_encoder="conch-v1",
    licence="CC-BY-NC-ND-4.0",
    gated=True,
    source="Jaume et al., ECCV 2024, arXiv 2408.02859",
    page="https://huggingface.co/MahmoodLab/madeleine",
    libraries=("madeleine",),
    install="pip install git+https://github.com/mahmoodlab/MADELEINE",
    load=_load,
    needs_folder=True,
    note="Trained on tiles of 256 px at 1 µm/px: the same 256 µm as those of conch-v1 here, seen less finely.",
)

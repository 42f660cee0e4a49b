"""TITAN of the Mahmood Lab: a vision transformer over the grid of tile vectors."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathlupi.external_slide_encoders._external import ExternalSlideEncoder, from_hub

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pathlupi.external_slide_encoders._external import Embed


def _load(device: str, folder: Path | None) -> "Embed":
    model = from_hub("MahmoodLab/TITAN", device, folder)

    def embed(features: "Tensor", corners_px0: "Tensor", side_px0: int) -> "Tensor":
        made: Tensor = model.encode_slide_from_patch_features(features, corners_px0, side_px0)
        return made

    return embed


ENCODER = ExternalSlideEncoder(
    title="TITAN",
    width=768,
    patch_encoder="conch-v1-5",
    licence="CC-BY-NC-ND-4.0",
    gated=True,
    source="Ding et al., Nature Medicine (2025), 10.1038/s41591-025-03982-3",
    page="https://huggingface.co/MahmoodLab/TITAN",
    libraries=("transformers", "einops"),
    install="pip install transformers einops einops-exts timm",
    load=_load,
    half=True,
    hub_code=True,
    note="Patients with several slides: the mean of their embeddings (methods of Patho-Bench).",
)

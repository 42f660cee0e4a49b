"""TITAN of the Mahmood Lab: a vision transformer over the grid of tile vectors."""

from pathlib import Path

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder, from_hub


def _load(device: str, folder: Path | None) -> Embed:
    model = from_hub("MahmoodLab/TITAN", device, folder)

    return lambda *bag: model.encode_slide_from_patch_features(*bag)


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

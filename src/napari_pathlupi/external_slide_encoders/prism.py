"""PRISM of Paige: a Perceiver over tile vectors, trained with reports."""

from pathlib import Path

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder, from_hub


def _load(device: str, folder: Path | None) -> Embed:
    model = from_hub("paige-ai/Prism", device, folder)
    model.text_decoder = None  # captions need it, embeddings do not

    return lambda features, *_: model.slide_representations(features)["image_embedding"]


ENCODER = ExternalSlideEncoder(
    title="PRISM",
    width=1280,
    patch_encoder="virchow",
    licence="CC-BY-NC-ND-4.0",
    gated=True,
    source="Shaikovski et al., arXiv 2405.10254",
    page="https://huggingface.co/paige-ai/Prism",
    libraries=("transformers", "environs", "sacremoses"),
    install="pip install environs==11.0.0 transformers==4.42.4 sacremoses==0.1.1",
    load=_load,
    half=True,
    hub_code=True,
    note="Its code was written for transformers 4.42.4. Several slides of a patient are one bag.",
)

"""CHIEF of Harvard Medical School: gated attention over tile vectors, with the organ's name as text."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder

ORGAN = 0
"""Which organ's name is read beside the tiles: the first of its list for all slides, as TRIDENT does it."""


def _load(device: str, folder: Path | None) -> Embed:
    import torch

    assert folder is not None
    sys.path.insert(0, str(folder))
    try:
        with contextlib.chdir(folder):  # it reads its text embeddings from where it is run
            from models.CHIEF import CHIEF  # type: ignore[import-not-found]

            model: Any = CHIEF(size_arg="small", dropout=True, n_classes=2)
            tensors = torch.load("model_weight/CHIEF_pretraining.pth", map_location="cpu", weights_only=True)
    finally:
        sys.path.remove(str(folder))
    model.load_state_dict(tensors)
    model.to(device).eval()

    return lambda features, *_: model(features[0], torch.tensor([ORGAN]))["WSI_feature"]


ENCODER = ExternalSlideEncoder(
    title="CHIEF",
    width=768,
    patch_encoder="ctranspath",
    licence="AGPL-3.0",
    source="Wang et al., Nature 634 (2024) 970-978",
    page="https://github.com/hms-dbmi/CHIEF",
    libraries=("addict",),
    install="pip install addict",
    load=_load,
    needs_folder=True,
    note="The folder is a clone of its repository with model_weight/CHIEF_pretraining.pth and Text_emdding.pth in it.",
)

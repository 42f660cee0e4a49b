"""The slide encoder of Prov-GigaPath: a LongNet over tile vectors and their places."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathlupi.external_slide_encoders._external import Embed, ExternalSlideEncoder

if TYPE_CHECKING:
    from torch import Tensor

LAST = 11
"""Of the layers whose embeddings it returns, which is taken: the last."""


def _load(device: str, folder: Path | None) -> Embed:
    from gigapath.slide_encoder import create_model  # type: ignore[import-not-found]

    place = str(folder / "slide_encoder.pth") if folder else "hf_hub:prov-gigapath/prov-gigapath"
    model: Any = create_model(place, "gigapath_slide_enc12l768d", 1536, global_pool=True).to(device).eval()

    def embed(features: "Tensor", corners_px0: "Tensor", side_px0: int) -> "Tensor":
        model.tile_size = side_px0
        made: Tensor = model(features, corners_px0, all_layer_embed=True)[LAST]
        return made

    return embed


ENCODER = ExternalSlideEncoder(
    title="Prov-GigaPath (slide encoder)",
    width=768,
    patch_encoder="gigapath",
    licence="Apache-2.0 with conditions (non-commercial)",
    gated=True,
    source="Xu et al., Nature 630 (2024) 181-188",
    page="https://huggingface.co/prov-gigapath/prov-gigapath",
    libraries=("gigapath", "fairscale", "flash_attn"),
    install="pip install fairscale flash_attn==2.5.8 git+https://github.com/prov-gigapath/prov-gigapath",
    load=_load,
    half=True,
    only_cuda=True,
    note="It needs flash_attn 2.5.8. Of several slides of a patient, the mean of their embeddings.",
)

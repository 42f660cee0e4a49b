"""The weight-free default: what the stains of a tile look like at several scales.

Works offline and at once, is the same on every machine and learns nothing from anybody's slides. The arithmetic is in
`napari_pathlupi.patch_encoders._texture`.
"""

from typing import TYPE_CHECKING

from napari_pathlupi.patch_encoders._encoder import ComputedEncoder

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import EncodeTiles


def _make(device: str) -> "EncodeTiles":
    """Nothing to build: the tiles bring their device with them."""
    import torch

    from napari_pathlupi.patch_encoders._texture import describe

    # glibc keeps what is freed up to the size of the largest block freed so far; without that a third of the time
    # goes into asking for the same pages again.
    torch.zeros(2**24, dtype=torch.uint8)
    return describe


ENCODER = ComputedEncoder(
    name="stain-texture",
    title="Stain and texture (no weights)",
    dim=151,
    tile_px=256,
    mpp=0.5,
    licence="BSD-3-Clause",
    source="napari-pathlupi; stain vectors of Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291-299",
    make=_make,
)

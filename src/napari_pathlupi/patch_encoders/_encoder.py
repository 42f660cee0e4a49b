"""What every patch encoder declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pathlupi.core.features import EncoderIdentity

if TYPE_CHECKING:
    from torch import Tensor

    EncodeTiles = Callable[[Tensor], Tensor]
    """(tiles, tile_px, tile_px, 3) uint8 RGB on the device -> (tiles, dim) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """An encoder on a device, ready to run.

    Parameters
    ----------
    encode
        (tiles, tile_px, tile_px, 3) uint8 RGB on that device -> (tiles, dim) float32; resizing to the network's input
        and normalising are part of it.
    identity
        What its vectors are recognised by.
    precision
        What it computes in: "float32", "float16" or "bfloat16".
    """

    encode: "EncodeTiles"
    identity: EncoderIdentity
    precision: str = "float32"


@dataclass(frozen=True, slots=True)
class PatchEncoder:
    """One way to turn a tile into a vector; each file of the room defines one as ``ENCODER``.

    Parameters
    ----------
    name
        Its name in the catalogue.
    title
        Name for the panel.
    dim
        Length of a vector.
    tile_px, mpp
        Side of the tile it sees, in pixels, and their µm per pixel.
    version
        Changes when its vectors do.
    licence
        SPDX name or the publisher's words; shown wherever the encoder is chosen.
    gated
        Whether the weights are given out only after an agreement.
    source
        Where it is described or published.
    load
        Builds the network on a device ("cpu", "cuda", "mps"); torch is imported in it.
    """

    name: str
    title: str
    dim: int
    tile_px: int
    mpp: float
    version: str
    licence: str
    gated: bool
    source: str
    load: Callable[[str], Loaded]

    @property
    def identity(self) -> EncoderIdentity:
        """What its vectors are recognised by."""
        return EncoderIdentity(self.name, self.version, self.dim, self.tile_px, self.mpp)

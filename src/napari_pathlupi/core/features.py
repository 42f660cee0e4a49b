"""What a patch encoder made of the tiles of one slide."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import MismatchError


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Which patch encoder made the features: two bags may meet only when this is equal.

    Parameters
    ----------
    name
        Name in the catalogue.
    version
        Version of a computed encoder, or the digest of loaded weights; "" where other software does not say.
    dim
        Length of one vector.
    tile_px, mpp
        Side of the tile that it was shown, in pixels, and their µm per pixel.
    """

    name: str
    version: str
    dim: int
    tile_px: int
    mpp: float

    def __str__(self) -> str:
        return f"{self.name} ({self.version or 'weights not stated'}) on {self.tile_px} px at {self.mpp:g} µm/px"

    def must_equal(self, other: "EncoderIdentity", what: str) -> None:
        """Refuse features of another encoder, with both named.

        Raises
        ------
        MismatchError
            When name, version, size or scale differ.
        """
        if self != other:
            raise MismatchError(
                f"{what} was trained on {self}, these features are {other}: embed the slide with {self.name}."
            )

    def must_fit(self, other: "EncoderIdentity", what: str) -> None:
        """Refuse features of another encoder as `must_equal` does, but for weights that either side does not state.

        Raises
        ------
        MismatchError
            When name, size or scale differ, or a version that both state.
        """
        stated = self.version and other.version
        (self if stated else replace(self, version=other.version)).must_equal(other, what)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBag:
    """The tiles of one slide as vectors.

    Parameters
    ----------
    features
        (N, D) float32.
    grid
        The N tiles, in the same order.
    encoder
        What made the vectors.
    fingerprint
        The slide they were made from; "" when nobody knows.
    source
        Who made them, when it was other software: the tool and the file.
    notes
        What a user must know of them, one sentence each.
    """

    features: npt.NDArray[np.float32]
    grid: TileGrid
    encoder: EncoderIdentity
    fingerprint: str
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.features.shape != (len(self.grid), self.encoder.dim):
            raise ValueError(
                f"{len(self.grid)} tiles of {self.encoder.dim} numbers are needed, got {self.features.shape}"
            )

    def __len__(self) -> int:
        return len(self.grid)

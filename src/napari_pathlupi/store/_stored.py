"""What one slide's group holds: reading it, whole or a part at a time."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.features import EncoderIdentity, FeatureBag
from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import OutputError

CHUNK_TILES = 256
"""Tiles of a chunk, whatever the batch (our choice): 1 MB of 1024 numbers; what a kill may cost at most."""
LAYOUT = 1
"""Version of what is described in docs/reference/store.md."""
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """What a store says of a slide.

    Parameters
    ----------
    name, fingerprint
        Its file's name, and what names its content.
    mpp, mpp_source
        µm per pixel (y, x) of level 0, and who says so.
    """

    name: str
    fingerprint: str
    mpp: tuple[float, float]
    mpp_source: str


def grid_parts(grid: TileGrid) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return a grid as arrays and JSON values, by the names of its fields; its corners are always among the arrays."""
    arrays: dict[str, npt.NDArray[Any]] = {"origins_px0": grid.origins_px0}
    numbers: dict[str, Any] = {}
    for field in fields(grid):
        value = getattr(grid, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            numbers[field.name] = asdict(value) if isinstance(value, Mpp) else value
    return arrays, numbers


def grid_from(arrays: Mapping[str, npt.NDArray[Any]], numbers: Mapping[str, Any]) -> TileGrid:
    """Return the grid of such parts."""
    known = {field.name for field in fields(TileGrid)}
    values: dict[str, Any] = {name: value for name, value in arrays.items() if name in known}
    for name, value in numbers.items():
        if name in known:
            values[name] = tuple(value) if isinstance(value, list) else value
    return TileGrid(**{**values, "slide_mpp": Mpp(**numbers["slide_mpp"])})


def digest_of(arrays: Mapping[str, npt.NDArray[Any]], numbers: Mapping[str, Any]) -> str:
    """Return 16 hex digits that name a grid."""
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:16]


class StoredBag:
    """The features of one slide by one encoder, on disk; nothing but their description is read until asked for.

    Parameters
    ----------
    group
        An open Zarr group of this layout.
    place
        Where it lies, for messages.

    Attributes
    ----------
    facts
        The attributes: slide, encoder, settings, grid and runs.
    slide, encoder
        What the features were made from, and by what.
    features
        The Zarr array (N, D); slices of it are read when taken.
    """

    def __init__(self, group: Any, place: str) -> None:
        self._group, self.place = group, place
        self.facts: dict[str, Any] = dict(group.attrs["pathlupi"])
        slide = self.facts["slide"]
        self.slide = SlideFacts(slide["name"], slide["fingerprint"], tuple(slide["mpp"]), slide["mpp_source"])
        self.encoder = EncoderIdentity(**self.facts["encoder"])
        self.features = group["features"]

    def __len__(self) -> int:
        return int(self.features.shape[0])

    @property
    def done(self) -> int:
        """Tiles that are stored, from the first on."""
        counts = np.asarray(self._group["commits"][:], np.int64)
        whole = (
            np.minimum(np.arange(1, len(counts) + 1) * CHUNK_TILES, len(self)) - np.arange(len(counts)) * CHUNK_TILES
        )
        short = np.flatnonzero(counts < whole)
        return len(self) if not len(short) else int(short[0] * CHUNK_TILES + counts[short[0]])

    @property
    def grid(self) -> TileGrid:
        """The tiles, in the order of the features."""
        grid = self._group["grid"]
        return grid_from({name: array[:] for name, array in grid.arrays()}, self.facts["grid"])

    def rows(self, start: int, stop: int) -> Features:
        """Return (stop - start, D) float32; only their chunks are read.

        Raises
        ------
        OutputError
            When a chunk was damaged after it was written.
        """
        try:
            return np.asarray(self.features[start:stop], np.float32)
        except ValueError as error:
            raise OutputError(f"{self.place} is damaged ({error}): delete it and embed the slide again.") from error

    def load(self) -> FeatureBag:
        """Return all of it in memory.

        Raises
        ------
        OutputError
            When tiles are still missing, or a chunk is damaged.
        """
        done = self.done
        if done < len(self):
            raise OutputError(
                f"{self.place} holds {done:,} of {len(self):,} tiles of {self.slide.name}: embed it again."
            )
        return FeatureBag(self.rows(0, done), self.grid, self.encoder, self.slide.fingerprint)

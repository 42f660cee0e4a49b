"""What files of features say, what users add, and what every reader and writer of them declares."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.features import FeatureBag

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of features, for what their file does not say.

    Parameters
    ----------
    encoder
        Patch encoder that made the features, as the catalogue calls it.
    tile_px0
        Side of a tile in level-0 pixels.
    tile_px
        Side of a tile as the encoder saw it, in pixels.
    unit
        Unit of the coordinates: px for level-0 pixels, or um.
    coords
        File that holds the coordinates, for features that stand alone.
    keys
        Names of features and coordinates in a plain h5 file, as "features,coords".
    mpp
        µm per level-0 pixel, when the slide is not there to say it.
    scale
        "nominal" takes it from the magnification that TRIDENT took each slide for (40x: 0.25), where the slide is not
        there: for cohorts of slides of 20x and 40x.
    """

    encoder: str = ""
    tile_px0: float = 0.0
    tile_px: int = 0
    unit: str = ""
    coords: str = ""
    keys: str = ""
    mpp: float | None = None
    scale: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a file says of features, as it says it; None or "" where it says nothing.

    Parameters
    ----------
    tool
        Who wrote the file, for people.
    features
        (N, D) float32.
    places
        (N, 2) where the tiles lie, **(x, y)** as the file has them, or None.
    unit
        What ``places`` count: level-0 pixels or µm.
    centred
        Whether they are centres of tiles and not their top-left corners.
    encoder, version
        What the tool calls the patch encoder, and its version as we know it.
    tile_px
        Side of a tile as the encoder saw it, in pixels.
    side_px0, side_um
        The same in level-0 pixels and in µm.
    mpp, mpp_source
        µm per level-0 pixel (y, x), and who says so.
    power
        Magnification that the tool took the slide for.
    shape_px0
        Height and width of the slide.
    fingerprint
        The slide's, as we count it.
    coverage, tissue_ids
        As of `TileGrid`.
    notes
        What else a user must know, one sentence each.
    """

    tool: str
    features: npt.NDArray[np.float32]
    places: FloatArray | None = None
    unit: Literal["", "px", "um"] = ""
    centred: bool = False
    encoder: str = ""
    version: str = ""
    tile_px: int | None = None
    side_px0: float | None = None
    side_um: float | None = None
    mpp: tuple[float, float] | None = None
    mpp_source: str = ""
    power: int | None = None
    shape_px0: tuple[int, int] | None = None
    fingerprint: str = ""
    coverage: npt.NDArray[np.float32] | None = None
    tissue_ids: npt.NDArray[np.int32] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads features that another tool made; a file of the room may define one as ``READER``.

    Parameters
    ----------
    title
        Whose files they are, for people.
    rank
        Readers are asked whether they know a file from the lowest rank on.
    knows
        Whether a file or folder is of this tool, by its content; never fails on a damaged one.
    read
        Returns what it says, or raises `napari_pathlupi.errors.FeaturesError`.
    """

    title: str
    rank: int
    knows: Callable[[Path], bool]
    read: Callable[[Path, Stated], Told]


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes features for another tool; a file of the room may define one as ``WRITER``.

    Parameters
    ----------
    title
        What it writes, for people.
    suffix
        File ending with its dot.
    write
        Writes a bag of a slide with that name; `save_bag` of ``workflows.prediction.features`` puts the file in place.
    """

    title: str
    suffix: str
    write: Callable[[Path, FeatureBag, str], None]

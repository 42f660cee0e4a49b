"""Where tiles may begin: along each axis, the places of their upper or left edges."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.errors import SettingsError

FloatArray = npt.NDArray[np.float64]

MOST_GAP = 0.1
"""Share of a tile's side that may lie between tiles so that they begin where stored tiles do (our choice)."""
POWERS = ((0.16, 80), (0.2, 60), (0.3, 40), (0.6, 20), (1.2, 10), (2.4, 5))
"""µm per pixel below which TRIDENT takes a slide for one of that magnification."""


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Every pair of a row's and a column's start is a place for a tile.

    Parameters
    ----------
    starts_px0
        Upper edges and left edges, level-0 pixels, ascending, all on the slide.
    stride_px0
        Distance (y, x) between neighbours.
    side_px0
        Height and width of a tile.
    shape_px0
        Height and width of the slide.
    """

    starts_px0: tuple[FloatArray, FloatArray]
    stride_px0: tuple[float, float]
    side_px0: tuple[float, float]
    shape_px0: tuple[int, int]

    @classmethod
    def even(
        cls, shape_px0: tuple[int, int], side_px0: tuple[float, float], stride_px0: tuple[float, float]
    ) -> "Lattice":
        """Return a lattice from the slide's corner on, the same stride everywhere: start ``i`` is ``i * stride``."""
        rows, columns = (math.ceil(extent / step - 1e-9) for extent, step in zip(shape_px0, stride_px0, strict=True))
        starts = np.arange(rows, dtype=np.float64) * stride_px0[0], np.arange(columns, dtype=np.float64) * stride_px0[1]
        return cls(starts, stride_px0, side_px0, shape_px0)


def snapped(shape_px0: tuple[int, int], side_px0: tuple[float, float], stored_px0: tuple[float, float]) -> Lattice:
    """Return a lattice whose tiles each lie in the middle of whole stored tiles, so that fewer of those are decoded.

    The stride is the smallest multiple of the stored tile that a tile fits into, when that leaves at most `MOST_GAP` of
    the side between tiles; otherwise there is nothing to gain, and tiles lie edge to edge. Tiles keep their exact size.
    In the middle, because resampling looks a pixel beyond a tile's edge.

    Parameters
    ----------
    shape_px0
        Height and width of the slide.
    side_px0
        Height and width of a tile.
    stored_px0
        Height and width of a stored tile of the level that is read, level-0 pixels.
    """
    rows, columns = (
        math.ceil(side / stored - 1e-6) * stored for side, stored in zip(side_px0, stored_px0, strict=True)
    )
    if rows > (1 + MOST_GAP) * side_px0[0] or columns > (1 + MOST_GAP) * side_px0[1]:
        return Lattice.even(shape_px0, side_px0, side_px0)
    even = Lattice.even(shape_px0, side_px0, (rows, columns))
    down, right = ((stride - side) / 2 for stride, side in zip(even.stride_px0, side_px0, strict=True))
    return replace(even, starts_px0=(even.starts_px0[0] + down, even.starts_px0[1] + right))


def magnification(mpp: float) -> int:
    """Return the magnification that TRIDENT takes a slide for.

    Raises
    ------
    SettingsError
        When it takes it for none.
    """
    for limit, power in POWERS:
        if round(mpp, 4) < limit:
            return power
    raise SettingsError(f"TRIDENT reads slides below {POWERS[-1][0]} µm/px, this one has {mpp:g}: leave out --compat.")


def trident_lattice(
    shape_px0: tuple[int, int], slide_mpp: Mpp, tile_px: int, mpp: float, overlap_px: int = 0
) -> Lattice:
    """Return the places at which TRIDENT puts tiles.

    Known of version 0.3 from its public source, none of which is used here: the slide's µm per pixel (its x value, to
    four decimals) is taken for a magnification (`POWERS`); the side in level-0 pixels is ``tile_px`` times the ratio
    of that to the wanted magnification (10 / mpp), rounded, so that its true µm differ from those asked for; tiles
    begin at whole pixels from the slide's corner and may hang over its edges. With an overlap the second tile of a
    row begins where the first ends, and only later ones overlap. Not reproduced: its tissue, its simplified outlines,
    and the order of versions that went column by column.

    Parameters
    ----------
    shape_px0
        Height and width of the slide, level-0 pixels.
    slide_mpp
        Size of a level-0 pixel.
    tile_px, mpp
        Side of a tile in pixels and their nominal µm per pixel; 10 / mpp must be a whole magnification.
    overlap_px
        What neighbours share, in pixels of a tile.

    Raises
    ------
    SettingsError
        When TRIDENT has no such magnification.
    """
    wanted = round(10 / mpp)
    if not math.isclose(wanted * mpp, 10, rel_tol=1e-3):
        raise SettingsError(f"TRIDENT reads at a whole magnification; {mpp:g} µm/px is {10 / mpp:.2f}x: give 0.5 or 1.")
    ratio = magnification(slide_mpp.x) / wanted
    side = float(round(tile_px * ratio))
    step = side - round(overlap_px * ratio)
    rows, columns = (np.concatenate([[0.0], np.arange(side, extent, step)]) for extent in shape_px0)
    return Lattice((rows, columns), (step, step), (side, side), shape_px0)

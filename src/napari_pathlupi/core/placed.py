"""A grid of tiles that somebody else placed: their places are kept as they are, the raster is found for them."""

import math

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.tiles import TileGrid

FloatArray = npt.NDArray[np.float64]

LEAST_STRIDE, MOST_STRIDE = 1 / 16, 1.5
"""Distances of tiles in a row, in sides, among which the stride is looked for (our choice)."""


def placed_tiles(
    origins_px0: FloatArray,
    tile_px: int,
    mpp: float,
    slide_mpp: Mpp,
    tissue_ids: npt.NDArray[np.int32] | None = None,
) -> TileGrid:
    """Return tiles at places that were chosen elsewhere, in the order given.

    A cell of the raster is as large as the commonest distance between neighbours in a row or column, or else as a
    tile, and lies so that most tiles have their centre in the centre of a cell; it begins at most one cell before the
    slide's corner. Tiles of another phase, as where each piece of tissue has a lattice of its own, are drawn in the
    cell that holds their centre.

    Parameters
    ----------
    origins_px0
        (N, 2) top-left corners (y, x), level-0 pixels, N at least 1.
    tile_px, mpp
        Side of a tile as the patch encoder saw it, in pixels, and their µm per pixel.
    slide_mpp
        Size of a level-0 pixel.
    tissue_ids
        (N,) piece of tissue of each tile, where that is known.
    """
    side = tile_px * mpp / slide_mpp.y, tile_px * mpp / slide_mpp.x
    axes = [_axis(origins_px0[:, axis], origins_px0[:, 1 - axis], side[axis]) for axis in (0, 1)]
    (down, top, rows), (right, left, columns) = axes
    covered = np.ones(len(origins_px0), np.float32)
    return TileGrid(
        origins_px0, tile_px, mpp, slide_mpp, covered, (down, right), (rows, columns), (top, left), tissue_ids
    )


def _axis(starts: FloatArray, across: FloatArray, side: float) -> tuple[float, float, int]:
    """Stride, first edge and number of cells of the raster along one axis; ``across`` are the places on the other."""
    order = np.lexsort((starts, across))
    steps = np.diff(starts[order])[np.diff(across[order]) == 0]
    steps = steps[(steps >= LEAST_STRIDE * side) & (steps <= MOST_STRIDE * side)]
    stride = _commonest(steps) if len(steps) else side
    phases = np.mod(starts, stride)
    phases[stride - phases < 1e-3] = 0.0
    first = _commonest(phases) + (side - stride) / 2
    first -= stride * max(0, math.ceil(first / stride - 1e-6))
    first += stride * min(0, math.floor((starts.min() + side / 2 - first) / stride))
    return stride, first, 1 + math.floor((starts.max() + side / 2 - first) / stride)


def _commonest(values: FloatArray) -> float:
    """The commonest value to half a pixel, as the mean of those near it."""
    known, counts = np.unique(np.round(values), return_counts=True)
    near = values[np.abs(values - known[np.argmax(counts)]) <= 0.5]
    return float(near.mean())

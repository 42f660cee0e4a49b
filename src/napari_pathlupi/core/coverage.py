"""What lies under tiles: how much of each is tissue, and which piece of it."""

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.lattice import Lattice
from napari_pathlupi.core.tissue import TissueMask

FloatArray = npt.NDArray[np.float64]

_AT_ONCE = 2**16
"""Tiles whose samples are compared at once: 17 MB."""


def coverage(mask: TissueMask, lattice: Lattice) -> FloatArray:
    """Return the share (rows, columns) of each place of a lattice that is tissue, exact to a fraction of a mask cell.

    What lies outside the slide is no tissue.
    """
    bounds = []
    axes = lattice.starts_px0, lattice.side_px0, lattice.shape_px0, mask.step_px0
    for starts, side, extent, cell in zip(*axes, strict=True):
        bounds.append(np.minimum(np.stack([starts, starts + side]), extent) / cell)
    cells_of_tissue = _integral(_integral(mask.tissue, bounds[0]).T, bounds[1]).T
    return cells_of_tissue * (mask.step_px0[0] * mask.step_px0[1] / (lattice.side_px0[0] * lattice.side_px0[1]))


def _integral(cells: npt.NDArray[np.bool_] | FloatArray, bounds: FloatArray) -> FloatArray:
    """(tiles, columns) sums of the rows between two fractional bounds (2, tiles), each row worth its share."""
    bounds = np.clip(bounds, 0, len(cells))
    whole = np.floor(bounds).astype(np.int64)
    running = np.zeros((len(cells) + 1, cells.shape[1]), np.float64 if cells.dtype == np.float64 else np.int32)
    np.cumsum(cells, axis=0, out=running[1:])
    begun = cells[np.minimum(whole, len(cells) - 1)]
    below_end = running[whole] + (bounds - whole)[..., None] * begun
    return np.asarray(below_end[1] - below_end[0])


def pieces_under(mask: TissueMask, origins_px0: FloatArray, side_px0: tuple[float, float]) -> npt.NDArray[np.int32]:
    """Return the number (N,) of the piece of tissue under each tile, as `TissueMask.pieces` counts them; 0 for none.

    Of several it is the one under most of 4 x 4 points spread over the tile (our choice); where no point meets
    tissue, the one with most cells.
    """
    pieces = mask.pieces()
    starts, sides = origins_px0 / mask.step_px0, np.array(side_px0) / mask.step_px0
    found = np.empty(len(starts), np.int32)
    for first in range(0, len(starts), _AT_ONCE):
        points = starts[first : first + _AT_ONCE, :, None] + sides[:, None] * (np.arange(4) + 0.5) / 4  # (n, 2, 4)
        found[first : first + _AT_ONCE] = _commonest(_at(pieces, points))
    for index in np.flatnonzero(found == 0):
        low, high = np.floor(starts[index]).astype(int), np.ceil(starts[index] + sides).astype(int)
        counts = np.bincount(pieces[low[0] : high[0], low[1] : high[1]].ravel(), minlength=1)
        found[index] = np.argmax(counts[1:]) + 1 if counts[1:].any() else 0
    return found


def _at(pieces: npt.NDArray[np.int32], points: FloatArray) -> npt.NDArray[np.int32]:
    """(n, 16) pieces at the points; 0 outside the raster."""
    framed = np.pad(pieces, (0, 1))
    rows, columns = (np.minimum(points[:, axis].astype(int), side) for axis, side in enumerate(pieces.shape))
    return np.asarray(framed[rows[:, :, None], columns[:, None, :]]).reshape(len(points), -1)


def _commonest(pieces: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    votes = (pieces[:, :, None] == pieces[:, None, :]).sum(axis=2) * (pieces > 0)
    return np.asarray(np.take_along_axis(pieces, votes.argmax(axis=1)[:, None], axis=1)[:, 0])

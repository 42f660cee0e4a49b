"""What lies under tiles: how much of each is tissue."""

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.lattice import Lattice
from napari_pathlupi.core.tissue import TissueMask

FloatArray = npt.NDArray[np.float64]


def coverage(mask: TissueMask, shape_px0: tuple[int, int], lattice: Lattice) -> FloatArray:
    """Return the share (rows, columns) of each place of a lattice that is tissue, exact to a fraction of a mask cell.

    What lies outside the slide is no tissue.
    """
    bounds = []
    for starts, side, extent, cell in zip(lattice.starts_px0, lattice.side_px0, shape_px0, mask.step_px0, strict=True):
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

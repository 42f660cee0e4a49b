"""Points spread over a slide, and kept from touching."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_pathlupi.simulation.fields import BLOCK_PX, STEP_PX, Field

Points = npt.NDArray[np.float64]


def scatter(random: np.random.Generator, density_per_um2: Field, um_per_cell: float) -> Points:
    """(N, 2) points in level-0 pixels: a Poisson process of this density on the coarse raster."""
    counts = random.poisson(density_per_um2 * um_per_cell**2)
    rows, columns = np.nonzero(counts)
    cells = np.repeat(np.stack([rows, columns], axis=1), counts[rows, columns], axis=0)
    return np.asarray((cells + random.random(cells.shape)) * STEP_PX)


def keep_apart(points_px: Points, radius_px: Field, order: Field) -> npt.NDArray[np.int64]:
    """Return which points stay when discs that touch must go, later ones first.

    The same as adding them one by one wherever there is room (random sequential adsorption, Feder 1980), but all at
    once: a point stays as soon as it comes before every rival that is still undecided.

    Parameters
    ----------
    points_px, radius_px
        (N, 2) centres and (N,) radii of the discs.
    order
        (N,) the lower, the earlier.
    """
    count = len(points_px)
    if count < 2:
        return np.arange(count)
    pairs = cKDTree(points_px).query_pairs(2 * float(radius_px.max()), output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    distance = np.linalg.norm(points_px[a] - points_px[b], axis=1)
    a, b = pairs[distance < radius_px[a] + radius_px[b]].T
    winner, loser = np.where(order[a] < order[b], a, b), np.where(order[a] < order[b], b, a)
    kept = np.zeros(count, dtype=np.bool_)
    undecided = np.ones(count, dtype=np.bool_)
    while undecided.any():
        rivalled = np.zeros(count, dtype=np.bool_)
        rivalled[loser] = True
        now = undecided & ~rivalled
        kept |= now
        beaten = np.zeros(count, dtype=np.bool_)
        beaten[loser[now[winner]]] = True
        undecided &= ~(now | beaten)
        live = undecided[winner] & undecided[loser]
        winner, loser = winner[live], loser[live]
    return np.flatnonzero(kept)


def cells_of(points_px: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return row and column of the raster cell of each point."""
    cells = (points_px // STEP_PX).astype(np.int64)
    return cells[:, 0], cells[:, 1]


@dataclass(frozen=True, slots=True, eq=False)
class BlockIndex:
    """Finds the points near one block of `BLOCK_PX` without looking at all.

    Parameters
    ----------
    order
        (N,) points sorted by block.
    first
        Where in ``order`` the points of each block begin, and at last N.
    columns
        Blocks per row, counting one empty block at each side.
    """

    order: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    columns: int

    @classmethod
    def of(cls, points_px: Points, blocks: tuple[int, int]) -> "BlockIndex":
        """Return the index of (N, 2) points on a slide of so many blocks; points outside count to the border."""
        columns = blocks[1] + 2
        place = (points_px // BLOCK_PX).astype(np.int64).clip(0, np.array(blocks) - 1) + 1
        number = place[:, 0] * columns + place[:, 1]
        order = np.argsort(number, kind="stable")
        return cls(order, np.searchsorted(number[order], np.arange((blocks[0] + 2) * columns + 1)), columns)

    def near(self, block: tuple[int, int]) -> npt.NDArray[np.int64]:
        """Return the points in a block and in its eight neighbours."""
        rows = ((block[0] + 1 + step) * self.columns + block[1] for step in (-1, 0, 1))
        return np.concatenate([self.order[self.first[start] : self.first[start + 3]] for start in rows])

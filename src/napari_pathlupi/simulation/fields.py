"""Smooth random fields, and how a coarse raster is read at every pixel."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]

STEP_PX = 16
"""Side of a cell of the coarse raster, level-0 pixels."""
BLOCK_PX = 512
"""Side of the square that is rendered at once."""
BLOCK_CELLS = BLOCK_PX // STEP_PX
HALO_CELLS = 2
TEXTURE_PX = 1024
FAR_UM = 400.0


def spline_weights(positions: npt.NDArray[np.float64], knots: int) -> Field:
    """(positions, knots) weights of the uniform cubic B-spline (de Boor 1978), positions counted in knots."""
    base = np.floor(positions).astype(int)
    t = positions - base
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((len(positions), knots), dtype=np.float32)
    rows = np.arange(len(positions))
    for shift, piece in zip((-1, 0, 1, 2), pieces, strict=True):
        weights[rows, base + shift] = piece / 6
    return weights


def smooth_noise(random: np.random.Generator, shape: tuple[int, int], scale: float) -> Field:
    """(rows, columns) random field of mean 0 and variance 1 that changes over ``scale`` cells."""
    axes = [np.arange(side) / scale + 1 for side in shape]
    knots = [int(axis[-1]) + 3 for axis in axes]
    values = random.standard_normal((knots[0], knots[1]), dtype=np.float32)
    rows, columns = (spline_weights(axis, count) for axis, count in zip(axes, knots, strict=True))
    mean_square = 151 / 315  # of the weights of a cubic B-spline, along each axis
    return np.asarray(rows @ values @ columns.T / np.float32(mean_square))


def top_share(field: Field, within: Mask, share: float) -> Mask:
    """(rows, columns) where the field is highest: this share of the cells within."""
    if share <= 0 or not within.any():
        return np.zeros(field.shape, dtype=np.bool_)
    return np.asarray(within & (field > np.quantile(field[within], 1 - share)))


def signed_distance_um(mask: Mask, um_per_cell: float) -> Field:
    """(rows, columns) distance to the border of the mask, positive inside, clipped to ±`FAR_UM`."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, FAR_UM if mask.any() else -FAR_UM, dtype=np.float32)
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    distance = (np.asarray(inside) - np.asarray(outside) - 0.5 * mask + 0.5 * ~mask) * um_per_cell
    return np.asarray(np.clip(ndimage.gaussian_filter(distance.astype(np.float32), 0.8), -FAR_UM, FAR_UM))


@lru_cache(maxsize=1)
def _phase_weights() -> Field:
    """(STEP_PX, 4) weights of the four nearest cells, by where a pixel lies between two cell centres."""
    return spline_weights((np.arange(STEP_PX) + 0.5) / STEP_PX + 1, 4)


def _refine(cells: Field) -> Field:
    """Return the rows of one block from those of its cells and halo, by sums: far below what a BLAS call costs."""
    weights = _phase_weights()[:, :, None]
    runs = len(cells) - 3
    rows = weights[:, 0] * cells[:runs, None]
    for tap in (1, 2, 3):
        rows += weights[:, tap] * cells[tap : tap + runs, None]
    return np.asarray(rows.reshape(runs * STEP_PX, -1)[STEP_PX // 2 : STEP_PX // 2 + BLOCK_PX])


def with_halo(field: Field) -> Field:
    """Return the raster with the border cells that `at_pixels` needs."""
    return np.pad(field, HALO_CELLS, mode="edge")


def cells_of_block(field: Field, block: tuple[int, int]) -> Field:
    """Return the cells of one block and its halo, from a raster `with_halo`."""
    first = block[0] * BLOCK_CELLS, block[1] * BLOCK_CELLS
    side = BLOCK_CELLS + 2 * HALO_CELLS
    return field[first[0] : first[0] + side, first[1] : first[1] + side]


def at_pixels(field: Field, block: tuple[int, int]) -> Field:
    """(BLOCK_PX, BLOCK_PX) values of a raster `with_halo` at the pixels of one block."""
    columns = _refine(np.ascontiguousarray(cells_of_block(field, block).T))
    return _refine(np.ascontiguousarray(columns.T))


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """Endless random textures of mean 0 and variance 1, by how coarse they are in pixels.

    Parameters
    ----------
    sheets
        Each repeats after `TEXTURE_PX` and is stored with one block more, so that any window is a slice.
    weave
        Bundles of fibres and the fibres in them, for looking up along and across.
    """

    sheets: dict[float, Field]
    weave: Field

    def window(self, coarseness: float, origin_px: tuple[int, int]) -> Field:
        """(BLOCK_PX, BLOCK_PX) view of one texture."""
        y, x = (place % TEXTURE_PX for place in origin_px)
        return self.sheets[coarseness][y : y + BLOCK_PX, x : x + BLOCK_PX]


@lru_cache(maxsize=1)
def textures() -> Textures:
    """Return the textures of every slide; slides differ by where they begin in them."""
    random = np.random.default_rng(20)
    sheets = {}
    for coarseness in (0.7, 1.4, 3.0, 8.0):
        sheet = random.standard_normal((TEXTURE_PX, TEXTURE_PX), dtype=np.float32)
        sheet = ndimage.gaussian_filter(sheet, coarseness, mode="wrap")
        sheets[coarseness] = np.pad(sheet / sheet.std(), (0, BLOCK_PX), mode="wrap")
    weave = 0.8 * sheets[8.0] + 0.5 * sheets[3.0][::-1] + 0.33 * sheets[1.4][:, ::-1]
    return Textures(sheets, weave[:TEXTURE_PX, :TEXTURE_PX].copy())

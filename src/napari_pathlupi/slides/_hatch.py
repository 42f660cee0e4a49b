"""What stands where a stored tile cannot be decoded."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_pathlupi.slides._resample import halve

Picture = npt.NDArray[np.uint8]
StandIn = Callable[[tuple[int, int], tuple[int, int], int], Picture]
"""Makes a cell of its corner and shape in the pixels of its stored level, and how often that is to be halved."""

PERIOD_PX, LINE_PX = 32, 8
"""A line of the hatch to the next, along a row, and its width (our choice)."""
PALE, DARK = 225, 120
"""Grey values, unlike glass and unlike tissue (our choice)."""


def white(corner_px: tuple[int, int], shape_px: tuple[int, int], halvings: int) -> Picture:
    """Return glass, so that nobody takes a damaged tile for tissue."""
    return np.full((shape_px[0] >> halvings, shape_px[1] >> halvings, 3), 255, np.uint8)


def hatch(corner_px: tuple[int, int], shape_px: tuple[int, int], halvings: int) -> Picture:
    """Return diagonal grey lines, so that everybody sees a damaged tile; they go on from cell to cell.

    The lines begin at the corner of the level, and those of a level four times coarser lie on every fourth of them.
    """
    height, width = (side >> halvings << halvings for side in shape_px)
    along = (np.arange(height + width) + sum(corner_px)) % PERIOD_PX < LINE_PX
    greys = np.where(along, DARK, PALE).astype(np.uint8)
    lines = np.lib.stride_tricks.sliding_window_view(greys, width)[:height, :, None]
    picture = np.repeat(lines, 3, axis=2)
    for _ in range(halvings):
        picture = halve(picture)
    return picture

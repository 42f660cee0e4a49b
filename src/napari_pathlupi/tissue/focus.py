"""Tissue that is out of focus.

At the scale of an overview blur cannot be seen, so that small windows are read at 1 µm/px, where nuclei have edges.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy import ndimage

from napari_pathlupi.core.tissue import BLUR, TISSUE, TissueMask
from napari_pathlupi.tissue._density import Flags, Picture

MPP = 1.0
"""µm per pixel at which focus is judged."""
WINDOW_PX = 128
"""Side of a window."""
SHARP = 0.3
"""Least contrast within 1 px, of that between 2 and 8 px. Sharp tissue, real and simulated, has 0.38 and more, behind a
Gaussian blur of 2 µm 0.27 and less. Our choice."""
_TEXTURE = 0.004
"""Contrast (optical density) between 2 and 8 px below which a window has nothing to be sharp."""
_SQUARE_UM = 512.0
"""Least side of the squares of which each is judged by one window; by four more where that is blurred."""

Read = Callable[[tuple[float, float]], Picture | None]
"""Reads the window at 1 µm/px that begins there (y, x), in level-0 pixels; None where it cannot be decoded."""


def mark_blur(mask: TissueMask, mpp_overview: float, read: Read, most: int) -> TissueMask:
    """Return a mask in which squares of tissue that are out of focus are blur.

    A square is blurred when at least four of five windows in it are: one in its middle, one in each quarter.

    Parameters
    ----------
    mask
        What lies where.
    mpp_overview
        µm per cell of the mask.
    read
        Reads a window; called by two threads.
    most
        About how many windows to read; squares become larger than 512 µm where there would be more.
    """
    tissue = mask.classes == TISSUE
    side = max(round(_SQUARE_UM / mpp_overview), math.ceil(math.sqrt(tissue.sum() / max(1, most))))
    window = max(1, round(WINDOW_PX * MPP / mpp_overview))
    filled = ndimage.uniform_filter(tissue.astype(np.float32), window, mode="constant")
    squares = list(_squares(tissue, side))

    def blurred(place: tuple[slice, slice]) -> bool:
        row, column = np.unravel_index(_fullest(filled[place]), filled[place].shape)
        middle = place[0].start + row + 0.5, place[1].start + column + 0.5
        picture = read(_corner(middle, window, mask.step_px0))
        return picture is not None and is_blurred(picture)

    def judge(place: tuple[slice, slice]) -> bool:
        return blurred(place) and sum(blurred(quarter) for quarter in _quarters(place)) >= 3

    with ThreadPoolExecutor(2, thread_name_prefix="focus") as pool:
        found = list(pool.map(judge, squares))
    classes = mask.classes.copy()
    for place, is_out in zip(squares, found, strict=True):
        if is_out:
            classes[place][tissue[place]] = BLUR
    return replace(mask, classes=classes)


def is_blurred(window: Picture) -> bool:
    """Return whether a picture at 1 µm/px has texture, but none that is fine."""
    density = np.log10(256 / (window.mean(axis=2, dtype=np.float32) + 1))
    one_px = ndimage.gaussian_filter(density, 1.0)
    two_px = ndimage.gaussian_filter(one_px, math.sqrt(2**2 - 1))[::4, ::4]
    eight_px = ndimage.gaussian_filter(two_px, math.sqrt(8**2 - 2**2) / 4)
    fine = float((density - one_px)[6:-6, 6:-6].std())
    coarse = float((two_px - eight_px)[2:-2, 2:-2].std())
    return coarse > _TEXTURE and fine < SHARP * coarse


def _squares(tissue: Flags, side: int) -> Iterator[tuple[slice, slice]]:
    """Squares of which a tenth is tissue."""
    for top in range(0, tissue.shape[0], side):
        for left in range(0, tissue.shape[1], side):
            place = slice(top, min(top + side, tissue.shape[0])), slice(left, min(left + side, tissue.shape[1]))
            if tissue[place].mean() > 0.1:
                yield place


def _quarters(place: tuple[slice, slice]) -> Iterator[tuple[slice, slice]]:
    halves = []
    for side in place:
        middle = (side.start + side.stop + 1) // 2
        halves.append((slice(side.start, middle), slice(min(middle, side.stop - 1), side.stop)))
    yield from ((rows, columns) for rows in halves[0] for columns in halves[1])


def _fullest(share: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """The cell around which most is tissue; the one nearest to the middle of those."""
    rows, columns = np.indices(share.shape)
    away = np.hypot(rows - (share.shape[0] - 1) / 2, columns - (share.shape[1] - 1) / 2)
    return int(np.argmax(np.round(share, 2) - 1e-4 * away))


def _corner(middle: tuple[float, float], window: int, step_px0: tuple[float, float]) -> tuple[float, float]:
    return (middle[0] - window / 2) * step_px0[0], (middle[1] - window / 2) * step_px0[1]

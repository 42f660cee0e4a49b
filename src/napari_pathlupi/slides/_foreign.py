"""What the readers over other people's libraries share: their faults, their scales, their handles, their tiles."""

import lzma
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._slide import Picture
from napari_pathlupi.slides._tiff_metadata import TIFF_FAULTS

FAULTS = (*TIFF_FAULTS, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
"""What a library raises over damaged metadata or pixels: a changed byte may turn up as any of these."""


def words_of(error: BaseException) -> str:
    """Return the first line of what an error says, without the full stop, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def credible_mpp(y: float, x: float, source: str) -> Mpp | None:
    """Return what a file states, or None where that is not the scale of a slide, so that the user is asked."""
    try:
        return Mpp(float(y), float(x), source)
    except SlideError:
        return None


def assemble(tile: Callable[[int, int], Picture], tile_px: tuple[int, int], rows: slice, columns: slice) -> Picture:
    """Return pixels inside a picture that is stored as tiles.

    Parameters
    ----------
    tile
        Gives the tile in a row and a column of the raster; those at the edge may be whole or cut.
    tile_px
        Height and width of a whole tile.
    rows, columns
        Which pixels, inside the picture.
    """
    picture = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
    for row in range(rows.start // tile_px[0], -(-rows.stop // tile_px[0])):
        y = row * tile_px[0]
        top, bottom = max(y, rows.start), min(y + tile_px[0], rows.stop)
        for column in range(columns.start // tile_px[1], -(-columns.stop // tile_px[1])):
            x = column * tile_px[1]
            left, right = max(x, columns.start), min(x + tile_px[1], columns.stop)
            part = tile(row, column)[top - y : bottom - y, left - x : right - x]
            picture[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = part
    return picture


class HandlePool:
    """Handles of a library, each used by one thread at a time.

    A thread borrows an idle handle or opens one more, so there are never more than threads reading at once. A handle
    that failed is closed, because OpenSlide's never work again after an error.

    Parameters
    ----------
    open_handle
        Opens one more; a handle has a ``close``.
    """

    def __init__(self, open_handle: Callable[[], Any]) -> None:
        self._open = open_handle
        self._idle: list[Any] = []
        self._closings = 0
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self) -> Iterator[Any]:
        """Lend a handle for the length of a ``with``."""
        with self._lock:
            closings = self._closings
            handle = self._idle.pop() if self._idle else None
        if handle is None:
            handle = self._open()
        kept = False
        try:
            yield handle
            with self._lock:
                kept = closings == self._closings
                if kept:
                    self._idle.append(handle)
        finally:
            if not kept:
                handle.close()

    def close(self) -> None:
        """Close what is idle now, and what is lent as soon as it comes back; borrowing afterwards opens again."""
        with self._lock:
            self._closings += 1
            idle, self._idle = self._idle, []
        for handle in idle:
            handle.close()

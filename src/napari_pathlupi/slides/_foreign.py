"""What the readers over other people's libraries share: their faults, their scales, their handles, their tiles."""

import errno
import lzma
import os
import threading
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_pathlupi.core.geometry import Level, Mpp, SlideFrame, downsample_of
from napari_pathlupi.errors import DamagedTileError, SlideError, words_of
from napari_pathlupi.slides._bands import white_around
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._hatch import StandIn, hatch, white
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import Picture, Slide
from napari_pathlupi.slides._tiff_metadata import TIFF_FAULTS

if TYPE_CHECKING:
    import dask.array as da

VIRTUAL_TILE_PX = 512
"""Side of a tile where a library has none to offer (our choice)."""
LARGEST_PAINTED_PX = 1024
"""Of larger tiles the viewer takes parts; the tile is kept whole beside them (our choice)."""
PIXELS_PER_BYTE, ALWAYS_PIXELS = 1000, 10**8
"""Pixels of level 0 that a byte of the file may stand for, and how many are never too many (our choice): deflate packs
344 RGB pixels into a byte, scanners' JPEG about 3."""
LOST = frozenset({errno.EIO, errno.ESTALE})
"""What a system says of a drive or share that is gone while it still lists the file."""
FAULTS = (*TIFF_FAULTS, RuntimeError, EOFError, zlib.error, lzma.LZMAError)
"""What a library raises over damaged metadata or pixels: a changed byte may turn up as any of these."""


def must_be_held(shape_px0: tuple[int, int], files: Iterable[Path], name: str) -> None:
    """Refuse a slide of more pixels than its files can hold, before a library walks through them.

    Our own TIFF reader needs no such bound: it knows which tiles are stored, and the others cost nothing.

    Raises
    ------
    SlideError
        When there are more.
    """
    pixels, size = shape_px0[0] * shape_px0[1], 0
    if pixels <= ALWAYS_PIXELS:
        return
    for file in files:
        size += file.stat().st_size
        if pixels <= size * PIXELS_PER_BYTE:
            return
    raise SlideError(
        f"{name} states a size of {shape_px0[1]:,} × {shape_px0[0]:,} px, which its {size / 1e6:,.1f} MB cannot hold: "
        "copy it again."
    )


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


class TiledSlide(Slide):
    """A slide whose tiles a library decodes: each is kept in our cache, and a damaged one costs only itself.

    Parameters
    ----------
    path, frame, levels, fingerprint, vendor
        As of `Slide`.
    tiles_px
        Height and width of a tile of each level.
    """

    def __init__(
        self,
        path: Path,
        frame: SlideFrame,
        shapes_px: Sequence[tuple[int, int]],
        fingerprint: str,
        vendor: str,
        tiles_px: Sequence[tuple[int, int]],
    ) -> None:
        levels = [Level(shape, downsample_of(shapes_px[0], shape)) for shape in shapes_px]
        super().__init__(path, frame, levels, fingerprint, vendor)
        self._tiles_px = tuple(tiles_px)
        self._faults: tuple[type[Exception], ...] = (SlideError, *FAULTS)
        self._files: tuple[Path, ...] = (path,)
        self._missing: set[tuple[int, int, int]] = set()

    @abstractmethod
    def _decode(self, level: int, row: int, column: int) -> Picture:
        """Return a tile, whole or cut at the edge of the level."""

    def tile_px_of(self, level: int) -> tuple[int, int] | None:
        return self._tiles_px[level]

    @property
    def missing_tiles(self) -> int:
        return len(self._missing)

    def lenient(self, stand_in: StandIn = white) -> Self:
        other = object.__new__(type(self))  # the same handles and the same count of what is missing
        other.__dict__.update(self.__dict__, _stand_in=stand_in)
        return other

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        def read(rows: slice, columns: slice) -> Picture:
            return assemble(lambda row, column: self._tile(level, row, column), self._tiles_px[level], rows, columns)

        return white_around(read, self.levels[level].shape_px, origin_px, shape_px, halvings)

    def _tile(self, level: int, row: int, column: int) -> Picture:
        try:
            return TILES.get(
                (self.opening, level, row, column), lambda: self.coloured(self._decode(level, row, column))
            )
        except self._faults as error:
            self._must_be_there(error)
            self._missing.add((level, row, column))
            if self._stand_in is None:
                raise DamagedTileError(
                    f"{self.path.name}: tile ({row}, {column}) of level {level} cannot be decoded "
                    f"({words_of(error)}): the slide is damaged, copy it again."
                ) from error
        height, width = self._tiles_px[level]
        return self._stand_in((row * height, column * width), (height, width), 0)

    def _must_be_there(self, error: BaseException) -> None:
        """Tell a slide that was lost from a damaged tile: every other tile would be missing, too."""
        lost = error if isinstance(error, OSError) and error.errno in LOST else None
        try:
            for file in self._files:
                file.stat()
        except OSError as unseen:
            lost = unseen
        if lost:
            raise SlideError(f"{self.path} can no longer be read ({lost.strerror}): check the drive.") from error

    def pyramid(self) -> "list[da.Array]":
        side = max(self._tiles_px[0])
        return lazy_pyramid(self.lenient(hatch), side if side <= LARGEST_PAINTED_PX else VIRTUAL_TILE_PX)


class HandlePool:
    """Handles of a library, each used by one thread at a time.

    A thread borrows an idle handle or opens one more, so there are never more than threads reading at once. A handle
    that failed is closed, because OpenSlide's never work again after an error. A forked process opens its own: those
    of its parent share with it where in the file they read.

    Parameters
    ----------
    open_handle
        Opens one more; a handle has a ``close``.
    """

    def __init__(self, open_handle: Callable[[], Any]) -> None:
        self._open = open_handle
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._idle: list[Any] = []
        self._closings = 0
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self) -> Iterator[Any]:
        """Lend a handle for the length of a ``with``."""
        if self._process != os.getpid():
            self._begin()
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

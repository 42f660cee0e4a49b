"""TIFF files: Aperio SVS, Hamamatsu NDPI, OME-TIFF, generic tiled and flat TIFF.

The index is parsed once by tifffile; afterwards each tile is one positioned read and one decode, from any thread.
"""

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_pathlupi.core.geometry import Level, SlideFrame, downsample_of
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import WHITE, Format, Picture, Slide, fingerprint_of, halved_in_bands
from napari_pathlupi.slides._tiff_metadata import TIFF_FAULTS, mpp_of, vendor_of
from napari_pathlupi.slides._tiff_tiles import TiledPage

if TYPE_CHECKING:
    import dask.array as da


class TiffSlide(Slide):
    """A slide in a TIFF file; `open_tiff` makes one."""

    def __init__(self, path: Path, pages: list[TiledPage], frame: SlideFrame, fingerprint: str, vendor: str) -> None:
        shapes = [page.shape_px for page in pages]
        levels = [Level(shape, downsample_of(shapes[0], shape)) for shape in shapes]
        super().__init__(path, frame, levels, fingerprint, vendor)
        self._pages = pages
        self._file: int | None = None
        self._lock = threading.Lock()

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        own = min(halvings, self._pages[level].most_halvings)
        return halved_in_bands(
            lambda origin, shape: self._assemble(level, origin, shape, own), origin_px, shape_px, halvings - own
        )

    def _assemble(self, level: int, origin: tuple[int, int], shape: tuple[int, int], halvings: int) -> Picture:
        page = self._pages[level]
        picture = np.full((*shape, 3), WHITE, np.uint8)
        ranges = []
        for start, count, tile, whole in zip(origin, shape, page.tile_px, page.shape_px, strict=True):
            first, last = max(start, 0), min(start + count, whole >> halvings)
            side = tile >> halvings
            ranges.append(range(first // side, -(-last // side)) if last > first else range(0))
        for row, column in itertools.product(*ranges):
            self._place(picture, origin, self._tile(level, row, column, halvings), (row, column), level, halvings)
        return picture

    def _place(
        self, picture: Picture, origin: tuple[int, int], tile: Picture, cell: tuple[int, int], level: int, halvings: int
    ) -> None:
        page = self._pages[level]
        target, source = [], []
        for axis in range(2):
            corner = cell[axis] * (page.tile_px[axis] >> halvings)
            low = max(corner, origin[axis])
            high = min(corner + tile.shape[axis], origin[axis] + picture.shape[axis], page.shape_px[axis] >> halvings)
            target.append(slice(low - origin[axis], max(low, high) - origin[axis]))
            source.append(slice(low - corner, max(low, high) - corner))
        picture[tuple(target)] = tile[tuple(source)]

    def _tile(self, level: int, row: int, column: int, halvings: int) -> Picture:
        page = self._pages[level]

        def decode() -> Picture:
            offset, count = page.position(row, column)
            if count == 0:  # a sparse TIFF leaves empty tiles out
                return np.full((page.tile_px[0] >> halvings, page.tile_px[1] >> halvings, 3), WHITE, np.uint8)
            try:
                return page.decode(self._bytes(offset, count), row, column, halvings)
            except (ValueError, RuntimeError, OSError) as error:
                raise SlideError(
                    f"{self.path.name}: tile ({row}, {column}) of level {level} cannot be decoded ({error}): "
                    "the file is damaged, copy it again."
                ) from error

        return TILES.get((self.opening, level, row, column, halvings), decode)

    def _bytes(self, offset: int, count: int) -> bytes:
        with self._lock:
            if self._file is None:
                try:
                    self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
                except OSError as error:
                    raise SlideError(f"{self.path} can no longer be read ({error.strerror}).") from error
            if not hasattr(os, "pread"):  # Windows
                os.lseek(self._file, offset, os.SEEK_SET)
                return os.read(self._file, count)
        return os.pread(self._file, count, offset)

    def pyramid(self) -> "list[da.Array]":
        return lazy_pyramid(self, max(self._pages[0].tile_px) if self._pages[0].square else 512)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


LIKE_ASPECT = 0.02
"""How far the aspect of a reduced page may be from that of level 0, for rounding of small levels (our choice)."""


def open_tiff(path: Path) -> TiffSlide:
    """Return the slide in a TIFF file.

    Raises
    ------
    UnknownFormatError
        When it is no TIFF file, or of a kind that this reader leaves to another.
    SlideError
        When the file is cut short or damaged.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = _pages_of(tiff, path)
            frame = SlideFrame(pages[0].shape_px, mpp_of(tiff, _first_page(tiff)))
            vendor = vendor_of(tiff)
            _must_be_whole(path, pages)
    except TIFF_FAULTS as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnknownFormatError(f"{path.name} is no TIFF file that can be read ({words})") from error
    return TiffSlide(path, pages, frame, fingerprint_of(path), vendor)


def _first_page(tiff: Any) -> Any:
    return _main_series(tiff).levels[0].keyframe


def _main_series(tiff: Any) -> Any:
    pictures = [s for s in tiff.series if set("YX") <= set(s.axes)]
    if not pictures:
        raise ValueError("it holds no picture")
    named = [s for s in pictures if s.name == "Baseline"]
    return (named or sorted(pictures, key=lambda s: -s.sizes.get("height", 0) * s.sizes.get("width", 0)))[0]


def _pages_of(tiff: Any, path: Path) -> list[TiledPage]:
    series = _main_series(tiff)
    levels = [level.keyframe for level in series.levels if len(level.pages) == 1]
    if not levels:
        raise UnknownFormatError(f"{path.name} stores several planes apart")
    if series.kind in ("generic", "uniform"):
        levels = [levels[0], *_reduced(tiff, levels[0])]
    return [TiledPage.of(page, path.name) for page in levels]


def _reduced(tiff: Any, whole: Any) -> list[Any]:
    # tifffile leaves out reduced pages whose factor it does not expect; the aspect tells them from thumbnails
    aspect = whole.imagewidth / whole.imagelength
    pages = [page.aspage() for page in tiff.pages]
    reduced = [p for p in pages if p.is_reduced and abs(p.imagewidth / p.imagelength / aspect - 1) < LIKE_ASPECT]
    return sorted((p for p in reduced if p.imagewidth < whole.imagewidth), key=lambda p: -int(p.imagewidth))


def _must_be_whole(path: Path, pages: list[TiledPage]) -> None:
    size = path.stat().st_size
    for level, page in enumerate(pages):
        if page.end > size:
            raise SlideError(
                f"{path.name} ends in the middle of level {level} ({size / 1e6:,.1f} of at least {page.end / 1e6:,.1f} "
                "MB): copy it again."
            )


_open: Callable[[Path], Slide] = open_tiff
FORMAT = Format(
    suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".tf8", ".scn", ".bif", ".qptiff", ".ptif"), rank=10, open=_open
)

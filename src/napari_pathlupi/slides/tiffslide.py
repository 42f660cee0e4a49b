"""TIFF files that the direct reader leaves aside (several areas in one file, other sample types), through tiffslide."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.core.geometry import Region, SlideFrame
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.slides._foreign import HandlePool, TiledSlide, credible_mpp, must_be_held
from napari_pathlupi.slides._lzw import LIBTIFF
from napari_pathlupi.slides._slide import Format, Picture, fingerprint_of
from napari_pathlupi.slides._tiff_metadata import COARSEST_BELIEVED, TIFF_FAULTS, must_not_overlap
from napari_pathlupi.slides._tiff_series import icc_profile_of
from napari_pathlupi.slides._tiff_tiles import BOUNDED, MOST_TILE_PX, pixels_told_by

SMALLEST_TILE_PX = 64
"""Stored tiles or strips that are lower or narrower are taken several at once (our choice)."""


class _Handle:
    """tiffslide's reader and the file that it reads: ours, because tiffslide leaves its own open when it refuses it."""

    def __init__(self, path: Path) -> None:
        import tiffslide

        self._file = path.open("rb")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "only partially supported": the panel names the source instead
                self.reader: Any = tiffslide.TiffSlide(self._file)
                self.properties: Mapping[str, Any] = self.reader.properties  # parsed on first use, with its warnings
                self.level(0)
                must_not_overlap(self.reader.ts_tifffile, path.name)
                _bound(self.series)
        except BaseException:
            self._file.close()
            raise

    @property
    def series(self) -> Any:
        """What tifffile knows of the picture."""
        return self.reader.ts_tifffile.series[self.properties["tiffslide.series-index"]]

    def level(self, index: int) -> Any:
        """Return a level as a zarr array."""
        return self.reader.zarr_group[str(index)]

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()
        self._file.close()


class TiffSlideSlide(TiledSlide):
    """A slide that tiffslide reads, one handle per reading thread, because tiffslide promises no more."""

    def __init__(self, path: Path, handles: HandlePool) -> None:
        self._handles = handles
        with handles.borrowed() as handle:
            shapes = [(height, width) for width, height in handle.reader.level_dimensions]
            properties = handle.properties
            tiles = [_tile_px(handle.level(index).chunks) for index in range(len(shapes))]
        y, x = properties.get("tiffslide.mpp-y"), properties.get("tiffslide.mpp-x")
        believed = y and x and max(y, x) <= COARSEST_BELIEVED
        mpp = credible_mpp(y, x, "read by tiffslide") if believed else None
        vendor = f"{properties.get('tiffslide.vendor') or 'TIFF'} (through tiffslide)"
        frame = SlideFrame(shapes[0], mpp, _bounds(properties))
        super().__init__(path, frame, shapes, fingerprint_of(path), vendor, tiles)

    def _decode(self, level: int, row: int, column: int) -> Picture:
        height, width = self._tiles_px[level]
        with self._handles.borrowed() as handle:
            stored = handle.level(level)[row * height : (row + 1) * height, column * width : (column + 1) * width]
        return np.ascontiguousarray(stored[..., :3])

    def close(self) -> None:
        self._handles.close()


def _tile_px(chunks: tuple[int, ...]) -> tuple[int, int]:
    height, width = (side * -(-SMALLEST_TILE_PX // side) for side in chunks[:2])
    return height, width


def _bounds(properties: Mapping[str, Any]) -> Region | None:
    """The scanned part of a Leica collection: OpenSlide declares the same, and QuPath crops to it."""
    stated: list[Any] = [properties.get(f"tiffslide.bounds-{part}") for part in ("y", "x", "height", "width")]
    if None in stated:
        return None
    y, x, height, width = map(float, stated)
    return Region((y, x), (height, width))


def _bound(series: Any) -> None:
    """See to it that no tile is decoded that is larger than stated, or by a decoder that damaged bytes can crash."""
    for page in {id(level.keyframe): level.keyframe for level in series.levels}.values():
        if page.compression not in BOUNDED or page.compression in LIBTIFF:
            raise ValueError(f"it is compressed by method {int(page.compression)}")
        if math.prod(page.chunks) > 3 * MOST_TILE_PX:
            raise ValueError(f"it is cut into tiles of {page.chunks}")
        page.decode = partial(_decode_bounded, page, page.decode)


def _decode_bounded(page: Any, decode: Callable[..., Any], data: bytes, index: int, **options: Any) -> Any:
    held = pixels_told_by(page.compression, (options.get("jpegheader") or b"") + data)
    if held is not None and held > math.prod(page.chunks):
        raise ValueError(f"a tile holds {held:,} px where {page.chunks} belong")
    return decode(data, index, **options)


def open_with_tiffslide(path: Path, choice: Choice = DEFAULT) -> TiffSlideSlide:
    """Return the slide as tiffslide sees it.

    Raises
    ------
    UnknownFormatError
        When tiffslide cannot open it, or its pixels are not 8-bit RGB.
    """
    handles = HandlePool(lambda: _Handle(path))
    try:
        with handles.borrowed() as handle:
            level, profile = handle.level(0), icc_profile_of(handle.series.keyframe)
        if level.dtype != np.uint8 or level.ndim != 3 or level.shape[2] < 3:
            raise _refused(f"{level.shape} of {level.dtype}: 8-bit RGB is what can be read")
        slide = TiffSlideSlide(path, handles)
        must_be_held(slide.frame.shape_px0, [path], path.name)
        return slide.choose(choice, replace(slide.offer, icc_profile=profile))
    except TIFF_FAULTS as error:
        handles.close()
        raise _refused(str(error) or type(error).__name__) from error
    except SlideError:
        handles.close()
        raise


def _refused(words: str) -> UnknownFormatError:
    return UnknownFormatError(f"tiffslide cannot open it either ({words.splitlines()[0]})")


FORMAT = Format(suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".scn", ".bif"), rank=20, open=open_with_tiffslide)

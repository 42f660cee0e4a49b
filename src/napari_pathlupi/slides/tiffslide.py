"""TIFF files that the direct reader leaves aside (several areas in one file, other sample types), through tiffslide."""

import math
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from napari_pathlupi.core.geometry import Level, Region, SlideFrame, downsample_of
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._bands import white_around
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.slides._foreign import credible_mpp, must_be_held
from napari_pathlupi.slides._lzw import LIBTIFF
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import Format, Picture, Slide, fingerprint_of
from napari_pathlupi.slides._tiff_metadata import COARSEST_BELIEVED, TIFF_FAULTS, must_not_overlap
from napari_pathlupi.slides._tiff_series import icc_profile_of
from napari_pathlupi.slides._tiff_tiles import BOUNDED, MOST_TILE_PX, pixels_told_by

if TYPE_CHECKING:
    import dask.array as da


class TiffSlideSlide(Slide):
    """A slide that tiffslide reads; one thread at a time, because tiffslide promises no more."""

    def __init__(self, path: Path, reader: Any, file: BinaryIO) -> None:
        shapes = [(height, width) for width, height in reader.level_dimensions]
        y, x = reader.properties.get("tiffslide.mpp-y"), reader.properties.get("tiffslide.mpp-x")
        believed = y and x and max(y, x) <= COARSEST_BELIEVED
        mpp = credible_mpp(y, x, "read by tiffslide") if believed else None
        levels = [Level(shape, downsample_of(shapes[0], shape)) for shape in shapes]
        vendor = f"{reader.properties.get('tiffslide.vendor') or 'TIFF'} (through tiffslide)"
        frame = SlideFrame(shapes[0], mpp, _bounds(reader.properties))
        super().__init__(path, frame, levels, fingerprint_of(path), vendor)
        self._reader: Any = reader
        self._local = path
        self._file = file
        self._lock = threading.Lock()

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        def read(rows: slice, columns: slice) -> Picture:
            with self._lock:
                if self._reader is None:
                    self._reader, self._file = _open_reader(self._local)
                try:
                    stored = np.asarray(self._reader.zarr_group[str(level)][rows, columns])
                except TIFF_FAULTS as error:
                    raise SlideError(
                        f"{self.path.name}: level {level} cannot be decoded at row {rows.start} ({error}): the file "
                        "is damaged, copy it again."
                    ) from error
            return self.coloured(stored[..., :3])

        return white_around(read, self.levels[level].shape_px, origin_px, shape_px, halvings)

    def pyramid(self) -> "list[da.Array]":
        return lazy_pyramid(self, 512)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._file.close()
                self._reader = None


def _bounds(properties: Mapping[str, Any]) -> Region | None:
    """The scanned part of a Leica collection: OpenSlide declares the same, and QuPath crops to it."""
    stated: list[Any] = [properties.get(f"tiffslide.bounds-{part}") for part in ("y", "x", "height", "width")]
    if None in stated:
        return None
    y, x, height, width = map(float, stated)
    return Region((y, x), (height, width))


def _open_reader(path: Path) -> tuple[Any, BinaryIO]:
    import tiffslide

    file = path.open("rb")  # ours, because tiffslide leaves its own open when it refuses it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # "metadata is only partially supported": the panel names the source instead
            reader = tiffslide.TiffSlide(file)
            _ = reader.properties, reader.zarr_group["0"]  # parsed on first use, with its warnings
            must_not_overlap(reader.ts_tifffile, path.name)
            _bound(reader.ts_tifffile.series[reader.properties["tiffslide.series-index"]])
    except BaseException:
        file.close()
        raise
    return reader, file


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
    try:
        reader, file = _open_reader(path)
    except TIFF_FAULTS as error:
        raise _refused(str(error) or type(error).__name__) from error
    try:
        level = reader.zarr_group["0"]
        if level.dtype != np.uint8 or level.ndim != 3 or level.shape[2] < 3:
            raise _refused(f"{level.shape} of {level.dtype}: 8-bit RGB is what can be read")
        slide = TiffSlideSlide(path, reader, file)
        must_be_held(slide.frame.shape_px0, [path], path.name)
        page = reader.ts_tifffile.series[reader.properties["tiffslide.series-index"]].keyframe
        return slide.choose(choice, replace(slide.offer, icc_profile=icc_profile_of(page)))
    except TIFF_FAULTS as error:
        file.close()
        raise _refused(str(error) or type(error).__name__) from error
    except SlideError:
        file.close()
        raise


def _refused(words: str) -> UnknownFormatError:
    return UnknownFormatError(f"tiffslide cannot open it either ({words.splitlines()[0]})")


FORMAT = Format(suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".scn", ".bif"), rank=20, open=open_with_tiffslide)

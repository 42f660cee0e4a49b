"""TIFF files that the direct reader leaves aside (several areas in one file, other sample types), through tiffslide."""

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from napari_pathlupi.core.geometry import Level, Mpp, Region, SlideFrame, downsample_of
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._bands import white_around
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import Format, Picture, Slide, fingerprint_of
from napari_pathlupi.slides._tiff_metadata import TIFF_FAULTS

if TYPE_CHECKING:
    import dask.array as da


class TiffSlideSlide(Slide):
    """A slide that tiffslide reads; one thread at a time, because tiffslide promises no more."""

    def __init__(self, path: Path, reader: Any, file: BinaryIO) -> None:
        shapes = [(height, width) for width, height in reader.level_dimensions]
        y, x = reader.properties.get("tiffslide.mpp-y"), reader.properties.get("tiffslide.mpp-x")
        mpp = Mpp(float(y or 0), float(x or 0), "read by tiffslide") if y and x else None
        levels = [Level(shape, downsample_of(shapes[0], shape)) for shape in shapes]
        vendor = str(reader.properties.get("tiffslide.vendor") or "TIFF")
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
                    return np.asarray(self._reader.zarr_group[str(level)][rows, columns])
                except TIFF_FAULTS as error:
                    raise SlideError(
                        f"{self.path.name}: level {level} cannot be decoded at row {rows.start} ({error}): the file "
                        "is damaged, copy it again."
                    ) from error

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
    except BaseException:
        file.close()
        raise
    return reader, file


def open_with_tiffslide(path: Path) -> TiffSlideSlide:
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
        return TiffSlideSlide(path, reader, file)
    except TIFF_FAULTS as error:
        file.close()
        raise _refused(str(error) or type(error).__name__) from error
    except UnknownFormatError:
        file.close()
        raise


def _refused(words: str) -> UnknownFormatError:
    return UnknownFormatError(f"tiffslide cannot open it either ({words.splitlines()[0]})")


FORMAT = Format(suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".scn", ".bif"), rank=20, open=open_with_tiffslide)

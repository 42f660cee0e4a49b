"""TIFF files that the direct reader leaves aside (several areas in one file, other sample types), through tiffslide."""

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathlupi.core.geometry import Level, Mpp, Region, SlideFrame, downsample_of
from napari_pathlupi.errors import UnknownFormatError
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import WHITE, Format, Picture, Slide, fingerprint_of, reduce_by_halving

if TYPE_CHECKING:
    import dask.array as da


class TiffSlideSlide(Slide):
    """A slide that tiffslide reads; one thread at a time, because tiffslide promises no more."""

    def __init__(self, path: Path, reader: Any) -> None:
        shapes = [(height, width) for width, height in reader.level_dimensions]
        y, x = reader.properties.get("tiffslide.mpp-y"), reader.properties.get("tiffslide.mpp-x")
        mpp = Mpp(float(y or 0), float(x or 0), "read by tiffslide") if y and x else None
        levels = [Level(shape, downsample_of(shapes[0], shape)) for shape in shapes]
        vendor = str(reader.properties.get("tiffslide.vendor") or "TIFF")
        frame = SlideFrame(shapes[0], mpp, _bounds(reader.properties))
        super().__init__(path, frame, levels, fingerprint_of(path), vendor)
        self._reader: Any = reader
        self._lock = threading.Lock()

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        factor = 2**halvings
        low = [max(0, o * factor) for o in origin_px]
        sides = self.levels[level].shape_px
        high = [min(side, (o + s) * factor) for side, o, s in zip(sides, origin_px, shape_px, strict=True)]
        answer = np.full((shape_px[0] * factor, shape_px[1] * factor, 3), WHITE, np.uint8)
        if all(h > start for h, start in zip(high, low, strict=True)):
            with self._lock:
                if self._reader is None:
                    self._reader = _open_reader(self.path)
                pixels = self._reader.zarr_group[str(level)][low[0] : high[0], low[1] : high[1]]
            target = [slice(a - o * factor, b - o * factor) for a, b, o in zip(low, high, origin_px, strict=True)]
            answer[target[0], target[1]] = pixels[..., :3]
        return reduce_by_halving(answer, halvings)

    def pyramid(self) -> "list[da.Array]":
        return lazy_pyramid(self, 512)

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None


def _bounds(properties: Mapping[str, Any]) -> Region | None:
    """The scanned part of a Leica collection: OpenSlide declares the same, and QuPath crops to it."""
    stated: list[Any] = [properties.get(f"tiffslide.bounds-{part}") for part in ("y", "x", "height", "width")]
    if None in stated:
        return None
    y, x, height, width = map(float, stated)
    return Region((y, x), (height, width))


def _open_reader(path: Path) -> Any:
    import tiffslide

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "metadata is only partially supported": the panel names the source instead
        reader = tiffslide.TiffSlide(path)
        _ = reader.properties  # parsed on first use, with its warnings
    return reader


def open_with_tiffslide(path: Path) -> TiffSlideSlide:
    """Return the slide as tiffslide sees it.

    Raises
    ------
    UnknownFormatError
        When tiffslide cannot open it, or its pixels are not 8-bit RGB.
    """
    from tiffslide import TiffFileError

    try:
        reader = _open_reader(path)
        level = reader.zarr_group["0"]
    except (TiffFileError, ValueError, KeyError, IndexError, OSError, TypeError, NotImplementedError) as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnknownFormatError(f"tiffslide cannot open it either ({words})") from error
    if level.dtype != np.uint8 or level.ndim != 3 or level.shape[2] < 3:
        reader.close()
        raise UnknownFormatError(f"tiffslide finds {level.shape} of {level.dtype}: 8-bit RGB is what can be read")
    return TiffSlideSlide(path, reader)


FORMAT = Format(suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".scn", ".bif"), rank=20, open=open_with_tiffslide)

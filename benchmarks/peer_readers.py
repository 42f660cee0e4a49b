"""Readers of whole-slide images, each asked the same three questions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_pathlupi import open_slide

Picture = npt.NDArray[np.uint8]
THUMBNAIL_PX = 1024


class Reader(Protocol):
    """What is asked of each reader; ``pixels`` and ``thumbnail`` are (height, width, 3)."""

    def __init__(self, path: Path) -> None: ...
    def pixels(self, y: int, x: int, height: int, width: int) -> Picture: ...
    def thumbnail(self) -> Picture: ...
    def close(self) -> None: ...


class Ours:
    """The reader of this package."""

    def __init__(self, path: Path) -> None:
        self.slide = open_slide(path)

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return self.slide.read_level(0, (y, x), (height, width))

    def thumbnail(self) -> Picture:
        return self.slide.thumbnail(THUMBNAIL_PX)

    def close(self) -> None:
        self.slide.close()


class OpenSlide:
    """openslide-python."""

    def __init__(self, path: Path) -> None:
        import openslide

        self.slide = openslide.OpenSlide(path)

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return np.asarray(self.slide.read_region((x, y), 0, (width, height)).convert("RGB"))

    def thumbnail(self) -> Picture:
        return np.asarray(self.slide.get_thumbnail((THUMBNAIL_PX, THUMBNAIL_PX)))

    def close(self) -> None:
        self.slide.close()


class TiffSlide:
    """tiffslide."""

    def __init__(self, path: Path) -> None:
        import tiffslide

        self.slide = tiffslide.TiffSlide(path)

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return self.slide.read_region((x, y), 0, (width, height), as_array=True)

    def thumbnail(self) -> Picture:
        return np.asarray(self.slide.get_thumbnail((THUMBNAIL_PX, THUMBNAIL_PX)))

    def close(self) -> None:
        self.slide.close()


class Zarr:
    """tifffile as a zarr store."""

    def __init__(self, path: Path) -> None:
        import tifffile
        import zarr

        self.file = tifffile.TiffFile(path)
        group = zarr.open(self.file.series[0].aszarr(), mode="r")
        self.levels = [group[str(index)] for index in range(len(self.file.series[0].levels))]

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return np.asarray(self.levels[0][y : y + height, x : x + width])

    def thumbnail(self) -> Picture:
        return shrunk([level.shape[:2] for level in self.levels], lambda level: np.asarray(self.levels[level][:]))

    def close(self) -> None:
        self.file.close()


class ZarrDask(Zarr):
    """The same behind Dask, one graph per region, without threads."""

    def __init__(self, path: Path) -> None:
        import dask.array as da

        super().__init__(path)
        self.levels = [da.from_zarr(level) for level in self.levels]

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return self.levels[0][y : y + height, x : x + width].compute(scheduler="synchronous")


class CuCim:
    """cuCIM, without a GPU."""

    def __init__(self, path: Path) -> None:
        from cucim import CuImage

        self.slide = CuImage(str(path))

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return np.asarray(self.slide.read_region((x, y), (width, height), level=0))

    def thumbnail(self) -> Picture:
        shapes = [(height, width) for width, height in self.slide.resolutions["level_dimensions"]]

        def whole(level: int) -> Picture:
            return np.asarray(self.slide.read_region((0, 0), shapes[level][::-1], level=level))

        return shrunk(shapes, whole)

    def close(self) -> None:
        self.slide.close()


class FastSlide:
    """fastslide."""

    def __init__(self, path: Path) -> None:
        import fastslide

        self.slide = fastslide.FastSlide.from_file_path(str(path))

    def pixels(self, y: int, x: int, height: int, width: int) -> Picture:
        return np.asarray(self.slide.read_region((x, y), 0, (width, height)).numpy())

    def thumbnail(self) -> Picture:
        shapes = [(height, width) for width, height in self.slide.level_dimensions]

        def whole(level: int) -> Picture:
            return np.asarray(self.slide.read_region((0, 0), level, shapes[level][::-1]).numpy())

        return shrunk(shapes, whole)

    def close(self) -> None:
        self.slide.close()


PEERS: dict[str, tuple[str, type[Reader]]] = {
    "openslide": ("openslide", OpenSlide),
    "tiffslide": ("tiffslide", TiffSlide),
    "zarr": ("zarr", Zarr),
    "zarr+dask": ("dask", ZarrDask),
    "cucim": ("cucim", CuCim),
    "fastslide": ("fastslide", FastSlide),
}
"""The name of each peer, the module it needs, and how it is asked."""


def shrunk(shapes: Sequence[tuple[int, int]], whole: Callable[[int], Picture]) -> Picture:
    """A thumbnail as the peers with one make it: the coarsest level that is fine enough, resized by Pillow."""
    level = max(index for index, shape in enumerate(shapes) if index == 0 or max(shape) >= THUMBNAIL_PX)
    picture = Image.fromarray(whole(level))
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return np.asarray(picture)

"""Slides written as a stream: the tiled JPEG pyramid that Aperio scanners make.

Layout after the OpenSlide documentation, "Aperio format": a tiled base image, a thumbnail in strips, then one tiled
image per reduced level, each with its ImageDescription.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile

from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.errors import Cancelled, OutputError

Picture = npt.NDArray[np.uint8]
Render = Callable[[tuple[int, int], tuple[int, int]], Picture]
"""Gives the pixels at (origin_px, shape_px) of level 0."""

CLASSIC_TIFF_BYTES = 4_000_000_000
"""Above this a file needs 64-bit offsets (TIFF 6.0 has 32-bit ones); the margin is for the directories."""
IN_MEMORY_BYTES = 32 * 1024**2


@dataclass(frozen=True, slots=True)
class SlideLayout:
    """How a slide is stored; the defaults are what Aperio writes at 20x.

    Parameters
    ----------
    shape_px
        Height and width of level 0.
    mpp
        µm per pixel of level 0, or (y, x) of a generic file; None leaves it unsaid there.
    tile_px
        Side of a tile; a multiple of 16 and of ``factor``.
    factor
        From one level to the next.
    smallest_px
        Levels are added until the longer side is no larger.
    lossless
        Deflate, so that every pixel comes back exactly, rather than JPEG.
    quality
        Of the JPEG, 1 to 100.
    aperio
        Whether to write what Aperio writes rather than a generic tiled pyramid, whose scale stands in the resolution
        tags alone.
    note
        ImageDescription of a generic file, ASCII.
    """

    shape_px: tuple[int, int]
    mpp: float | tuple[float, float] | None
    tile_px: int = 256
    factor: int = 4
    smallest_px: int = 1024
    lossless: bool = False
    quality: int = 85
    aperio: bool = True
    note: str | None = None

    def levels_px(self) -> list[tuple[int, int]]:
        """Return the shapes of all levels."""
        shapes = [self.shape_px]
        while max(shapes[-1]) > self.smallest_px and min(shapes[-1]) >= self.factor:
            shapes.append((shapes[-1][0] // self.factor, shapes[-1][1] // self.factor))
        return shapes

    def describe(self, extra: str) -> str | None:
        """Return an ImageDescription with magnification and scale; the note of a generic file."""
        if not self.aperio:
            return self.note
        if self.mpp is None or isinstance(self.mpp, tuple):
            return None
        magnification = f"AppMag = {10 / self.mpp:g}|MPP = {self.mpp:.6g}"
        return f"Aperio Image Library (napari-pathlupi simulation)\r\n{extra}|{magnification}"

    def resolution(self, level_px: tuple[int, int]) -> dict[str, Any]:
        """Return the resolution tags of a level, for tifffile."""
        if self.mpp is None:
            return {}
        mpp = self.mpp if isinstance(self.mpp, tuple) else (self.mpp, self.mpp)
        y, x = (1e4 / um * px / whole for um, px, whole in zip(mpp, level_px, self.shape_px, strict=True))
        return {"resolution": (x, y), "resolutionunit": "CENTIMETER"}


@dataclass(slots=True)
class _Level:
    """One level while it grows: rows that do not fill a tile yet, and its encoded tiles on disk."""

    layout: SlideLayout
    shape_px: tuple[int, int]
    file: IO[bytes]
    sizes: list[int] = field(default_factory=list)
    waiting: list[Picture] = field(default_factory=list)
    received: int = 0

    def add(self, rows: Picture) -> Picture | None:
        """Take some rows; return the finished row of tiles once there is one."""
        rows = rows[: self.shape_px[0] - self.received, : self.shape_px[1]]
        self.waiting.append(rows)
        self.received += len(rows)
        tile = self.layout.tile_px
        if self.received % tile and self.received < self.shape_px[0]:
            return None
        strip = np.concatenate(self.waiting) if len(self.waiting) > 1 else rows
        self.waiting.clear()
        padding = ((0, -len(strip) % tile), (0, -strip.shape[1] % tile), (0, 0))
        padded = np.pad(strip, padding, mode="edge") if padding != ((0, 0),) * 3 else strip
        for left in range(0, padded.shape[1], tile):
            self._store(np.ascontiguousarray(padded[:, left : left + tile]))
        return strip

    def _store(self, tile: Picture) -> None:
        if self.layout.lossless:
            encoded = zlib.compress(tile.tobytes(), 6)
        else:
            encoded = simplejpeg.encode_jpeg(tile, quality=self.layout.quality, colorsubsampling="420", fastdct=False)
        self.file.write(encoded)
        self.sizes.append(len(encoded))

    def tiles(self) -> Iterator[bytes]:
        """Return the encoded tiles in order."""
        self.file.seek(0)
        return (self.file.read(size) for size in self.sizes)


def write_slide_steps(path: Path, render: Render, layout: SlideLayout, cancel: CancelFlag) -> Steps[Path]:
    """Return the path of a whole-slide image written row by row of tiles, in memory of a few such rows.

    Parameters
    ----------
    path
        Where to; replaced as a whole or not at all.
    render
        The pixels.
    layout
        Shape, scale and encoding.
    cancel
        Asks to stop; nothing is left behind then.

    Raises
    ------
    OutputError
        When the file cannot be written.
    Cancelled
        When asked to stop.
    """
    height, width = layout.shape_px
    partial = path.with_name(f".{path.name}.part")
    try:
        with ExitStack() as stack:
            levels = [_open_level(layout, shape, stack) for shape in layout.levels_px()]
            smallest: list[Picture] = []
            for top in range(0, height, layout.tile_px):
                if cancel:
                    raise Cancelled(f"{path.name} was not written: stopped at row {top} of {height}.")
                _grow(levels, render((top, 0), (min(layout.tile_px, height - top), width)), smallest)
                yield Progress("writing slide", min(top + layout.tile_px, height), height)
            _assemble(partial, layout, levels, np.concatenate(smallest))
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}): choose another folder.") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _open_level(layout: SlideLayout, shape_px: tuple[int, int], stack: ExitStack) -> _Level:
    return _Level(layout, shape_px, stack.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)))


def _grow(levels: list[_Level], rows: Picture, smallest: list[Picture]) -> None:
    """Pass rows down the pyramid as far as they fill tiles."""
    for level in levels:
        strip = level.add(rows)
        if strip is None:
            return
        if level is levels[-1]:
            smallest.append(strip)
        elif len(strip) >= level.layout.factor:
            rows = _reduce(strip, level.layout.factor)
        else:
            return


def _reduce(strip: Picture, factor: int) -> Picture:
    """Return the strip averaged over squares; rows and columns that fill none are dropped."""
    height, width = strip.shape[0] // factor, strip.shape[1] // factor
    whole = strip[: height * factor, : width * factor]
    total = np.full((height, width, 3), factor**2 // 2, dtype=np.uint16)
    for y in range(factor):
        for x in range(factor):
            total += whole[y::factor, x::factor]
    return (total // factor**2).astype(np.uint8)


def _assemble(path: Path, layout: SlideLayout, levels: list[_Level], thumbnail: Picture) -> None:
    stored = sum(sum(level.sizes) for level in levels)
    height, width = layout.shape_px
    size = f"{width}x{height}"
    coding: dict[str, Any] = {"compression": "adobe_deflate", "photometric": "rgb"}
    if not layout.lossless:
        coding = {"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)}
    with tifffile.TiffWriter(path, bigtiff=stored > CLASSIC_TIFF_BYTES) as file:
        for number, level in enumerate(levels):
            reduced = f" -> {level.shape_px[1]}x{level.shape_px[0]}" if number else ""
            file.write(
                level.tiles(),
                shape=(*level.shape_px, 3),
                dtype=np.uint8,
                tile=(layout.tile_px, layout.tile_px),
                # Aperio marks only label and macro image as reduced, and tifffile goes by that
                subfiletype=0 if layout.aperio else int(number > 0),
                **layout.resolution(level.shape_px),
                description=layout.describe(f"{size} ({layout.tile_px}x{layout.tile_px}){reduced}"),
                metadata=None,
                software=False,
                **coding,
            )
            if number == 0 and layout.aperio:
                file.write(
                    thumbnail,
                    rowsperstrip=16,
                    description=layout.describe(f"{size} -> {thumbnail.shape[1]}x{thumbnail.shape[0]}"),
                    compression="jpeg",
                    compressionargs={"level": 85},
                    photometric="ycbcr",
                    subsampling=(2, 2),
                    metadata=None,
                    software=False,
                )

"""Whatever OpenSlide reads and our own readers leave aside: MRXS, VMS, VMU, ZVI, CZI and odd kinds of TIFF."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.core.geometry import Mpp, Region, SlideFrame
from napari_pathlupi.errors import SlideError, UnknownFormatError, words_of
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.slides._colour import over_white
from napari_pathlupi.slides._foreign import (
    FAULTS,
    VIRTUAL_TILE_PX,
    HandlePool,
    TiledSlide,
    credible_mpp,
    must_be_held,
)
from napari_pathlupi.slides._slide import Format, Picture, fingerprint_of
from napari_pathlupi.slides._tiff_metadata import COARSEST_BELIEVED
from napari_pathlupi.slides._tiff_tiles import MOST_TILE_PX

SEVERAL_FILES = frozenset({".mrxs", ".vms", ".vmu"})
"""Formats whose named file only points to those with the pixels."""
TIFF_NAMES = (".ndpi", ".scn", ".svs", ".tif", ".tiff", ".btf", ".tf8", ".ptif", ".qptiff")
"""Files of which a scanner's are read, and no others: our own readers know plain TIFF, and what they refuse (stacks,
16 bits, two channels) OpenSlide would show as the RGB that it is not."""


class OpenSlideSlide(TiledSlide):
    """A slide that OpenSlide reads, one handle per reading thread.

    OpenSlide takes whole level-0 coordinates. At a level whose downsample is no whole number a tile may therefore lie
    up to half a level-0 pixel away, and OpenSlide interpolates. It makes one picture of all scenes.

    Parameters
    ----------
    path
        What was asked for.
    file
        What OpenSlide opens: the same, or one file of a folder.
    fingerprint
        Names the content.
    """

    def __init__(self, path: Path, file: Path, fingerprint: str) -> None:
        self._handles = HandlePool(lambda: _handle(file))
        with self._handles.borrowed() as handle:
            self.properties = dict(handle.properties)
            shapes = [(height, width) for width, height in handle.level_dimensions]
            self._steps = tuple(handle.level_downsamples)
            profile = handle.color_profile
            must_be_held(shapes[0], _files_of(path), path.name)
            _must_have_small_tiles(self.properties, len(shapes), path.name)
        frame = SlideFrame(shapes[0], _mpp(self.properties), _bounds(self.properties))
        vendor = f"{self.properties.get('openslide.vendor', 'unknown')} (through OpenSlide)"
        tiles = [(VIRTUAL_TILE_PX, VIRTUAL_TILE_PX)] * len(shapes)
        super().__init__(path, frame, shapes, fingerprint, vendor, tiles)
        self._faults = (*self._faults, _library().OpenSlideError)
        self._files = (path, file, *(_files_of(path) if path.suffix.lower() == ".mrxs" else ()))
        self.offer = replace(self.offer, icc_profile=profile.tobytes() if profile else b"")

    def _decode(self, level: int, row: int, column: int) -> Picture:
        y, x = row * VIRTUAL_TILE_PX, column * VIRTUAL_TILE_PX
        height, width = (
            min(VIRTUAL_TILE_PX, side - at) for side, at in zip(self.levels[level].shape_px, (y, x), strict=True)
        )
        corner = round(x * self._steps[level]), round(y * self._steps[level])
        with self._handles.borrowed() as handle:
            return over_white(np.asarray(handle.read_region(corner, level, (width, height))))

    def close(self) -> None:
        self._handles.close()


def _mpp(properties: Mapping[str, str]) -> Mpp | None:
    y, x = (properties.get(f"openslide.mpp-{axis}") for axis in "yx")
    if y is None or x is None:
        return None
    believed = properties.get("openslide.vendor") != "generic-tiff" or max(float(y), float(x)) <= COARSEST_BELIEVED
    return credible_mpp(float(y), float(x), "read by OpenSlide") if believed else None


def _bounds(properties: Mapping[str, str]) -> Region | None:
    stated = [properties.get(f"openslide.bounds-{part}") for part in ("y", "x", "height", "width")]
    numbers = [float(part) for part in stated if part is not None]
    if len(numbers) < 4 or min(numbers[2:]) <= 0:
        return None
    return Region((numbers[0], numbers[1]), (numbers[2], numbers[3]))


def _library() -> ModuleType:
    return load_extra("openslide", "openslide", "this file")


def _handle(file: Path) -> Any:
    library = _library()
    try:
        return library.OpenSlide(file)
    except library.OpenSlideUnsupportedFormatError as error:
        raise UnknownFormatError(f"OpenSlide does not know what {file.name} is") from error
    except (library.OpenSlideError, OSError) as error:
        raise SlideError(f"OpenSlide cannot open {file.name} ({words_of(error)})") from error


def _must_have_small_tiles(properties: Mapping[str, str], levels: int, name: str) -> None:
    """OpenSlide ends the process when it finds no memory for a tile."""
    for level in range(levels):
        height, width = (
            int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in ("height", "width")
        )
        if height * width > MOST_TILE_PX:
            raise SlideError(f"{name} is cut into tiles of {width:,} × {height:,} px, too large to decode at once")


def _files_of(path: Path) -> Iterator[Path]:
    """The file, or the folder, or what a file that only points to others may point to."""
    if path.is_file() and path.suffix.lower() not in (*SEVERAL_FILES, ".dcm", ".dicom"):
        return iter([path])
    beside = path.with_suffix("") if path.suffix.lower() == ".mrxs" else path if path.is_dir() else path.parent
    return (file for file in beside.glob("*") if file.is_file())


def open_with_openslide(path: Path, choice: Choice = DEFAULT) -> OpenSlideSlide:
    """Return the slide as OpenSlide sees it.

    Raises
    ------
    MissingExtraError
        When OpenSlide is not installed, or broken.
    UnknownFormatError
        When OpenSlide cannot open it, or it is a TIFF file of no scanner that OpenSlide knows.
    """
    try:
        slide = OpenSlideSlide(path, path, fingerprint_of(path))
    except SlideError as error:
        raise UnknownFormatError(str(error)) from error
    except FAULTS as error:
        raise UnknownFormatError(f"OpenSlide cannot open {path.name} ({words_of(error)})") from error
    if path.suffix.lower() in TIFF_NAMES and slide.properties.get("openslide.vendor") == "generic-tiff":
        slide.close()
        raise UnknownFormatError(f"OpenSlide knows no slide scanner that wrote {path.name}")
    if path.suffix.lower() in SEVERAL_FILES:
        named = slide.fingerprint + slide.properties.get("openslide.quickhash-1", "")
        slide.fingerprint = hashlib.blake2b(named.encode(), digest_size=16).hexdigest()
    return slide.choose(choice)


FORMAT = Format(
    suffixes=(".mrxs", ".vms", ".vmu", ".zvi", ".czi", ".svslide", ".bif", *TIFF_NAMES),
    rank=30,
    open=open_with_openslide,
    first_for=(".bif",),  # its tiles overlap, and only OpenSlide places them
)

"""OME-Zarr folders, version 0.4 (zarr v2) and 0.5 (zarr v3).

Read from the documents at https://ngff.openmicroscopy.org/0.4/ and /0.5/: ``multiscales``, ``axes`` and
``coordinateTransformations``. Of several times the first is shown, of several pictures and planes that which is chosen.
"""

import hashlib
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_pathlupi.core.geometry import Mpp, SlideFrame
from napari_pathlupi.errors import UnknownFormatError, words_of
from napari_pathlupi.slides._choice import BESIDE, DEFAULT, Choice, Offer, Scene, must_be_one_of
from napari_pathlupi.slides._foreign import FAULTS, TiledSlide, credible_mpp, must_be_held
from napari_pathlupi.slides._slide import Format, Picture
from napari_pathlupi.slides._tiff_metadata import UM_PER_OME_UNIT

UM_PER_UNIT = {
    **UM_PER_OME_UNIT,
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
"""OME-Zarr 0.4, "axes": units are UDUNITS-2 names; the signs of OME-XML are read as well, since writers use them."""
ALL_AXES = "tczyx"
"""OME-Zarr before 0.3 has no ``axes``: always five dimensions in this order."""
METADATA_NAMES = frozenset({".zattrs", ".zarray", ".zgroup", "zarr.json"})
PIECES = 64
LARGEST_CHUNK_BYTES = 2**30
"""A chunk is decoded whole: above 1 GiB it is refused (our choice)."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One level: a zarr array of which the first time and one focal plane are shown.

    Parameters
    ----------
    array
        The zarr array, uint8.
    axes
        One letter per dimension, of "tczyx".
    depth
        Index along z.
    """

    array: Any
    axes: str
    depth: int = 0

    @property
    def shape_px(self) -> tuple[int, int]:
        """Height and width."""
        return self._yx(self.array.shape)

    @property
    def chunk_px(self) -> tuple[int, int]:
        """Height and width of a chunk."""
        return self._yx(self.array.chunks)

    def _yx(self, sides: tuple[int, ...]) -> tuple[int, int]:
        return int(sides[self.axes.index("y")]), int(sides[self.axes.index("x")])

    def chunk(self, row: int, column: int) -> Picture:
        """Return a chunk, cut at the edge of the picture; grey as (height, width, 1)."""
        height, width = self.chunk_px
        rows, columns = (slice(i * side, (i + 1) * side) for i, side in ((row, height), (column, width)))
        chosen = {"t": 0, "z": self.depth, "y": rows, "x": columns, "c": slice(None)}
        pixels = np.asarray(self.array[tuple(chosen[axis] for axis in self.axes)])
        kept = [axis for axis in self.axes if axis in "yxc"]
        pixels = pixels.transpose([kept.index(axis) for axis in "yxc" if axis in kept])
        if pixels.ndim == 2 or pixels.flags.c_contiguous:
            return pixels.reshape(*pixels.shape[:2], -1)
        return np.stack(list(np.moveaxis(pixels, 2, 0)), axis=-1)  # four times as fast as copying the transpose


class OmeZarrSlide(TiledSlide):
    """A slide in an OME-Zarr folder; `open_ome_zarr` makes one."""

    def __init__(self, path: Path, planes: list[Plane], mpp: Mpp | None) -> None:
        shapes = [plane.shape_px for plane in planes]
        must_be_held(shapes[0], _files_in(path), path.name)
        frame, chunks = SlideFrame(shapes[0], mpp), [plane.chunk_px for plane in planes]
        super().__init__(path, frame, shapes, fingerprint_of_folder(path), "OME-Zarr", chunks)
        self._planes = planes

    def _decode(self, level: int, row: int, column: int) -> Picture:
        pixels = self._planes[level].chunk(row, column)
        self._files[0].stat()  # a chunk that is not there is no error to zarr, nor is a slide that is not
        return pixels

    def close(self) -> None:
        """Nothing is held: each chunk is a file of its own."""


def open_ome_zarr(path: Path, choice: Choice = DEFAULT) -> OmeZarrSlide:
    """Return what is chosen of an OME-Zarr folder.

    Raises
    ------
    UnknownFormatError
        When the folder is no OME-Zarr, its metadata is damaged, or its pixels are not 8-bit grey or RGB.
    SlideError
        When what is chosen is not there.
    """
    import zarr

    try:
        pictures = _pictures_of(zarr.open_group(str(path), mode="r"))
        must_be_one_of("scene", choice.scene, [_name(scales) for _, scales in pictures], path.name)
        group, scales = pictures[choice.scene]
        planes = _planes(group, scales, choice.plane)
        slide = OmeZarrSlide(path, planes, _mpp(scales))
        return slide.choose(choice, Offer(_scenes(pictures), _depths_um(planes[0], scales)))
    except UnknownFormatError as error:
        raise UnknownFormatError(f"{path.name} {error}") from error
    except FAULTS as error:
        raise UnknownFormatError(f"{path.name} is no OME-Zarr folder that can be read ({words_of(error)})") from error


def _pictures_of(group: Any) -> list[tuple[Any, Mapping[str, Any]]]:
    """Every picture, as the group that holds it and its entry of "multiscales"; bioformats2raw numbers the groups."""
    numbered = itertools.takewhile(lambda name: name in group, map(str, itertools.count()))
    pictures = [(group, scales) for scales in _multiscales(group)]
    pictures = pictures or [(group[name], scales) for name in numbered for scales in _multiscales(group[name])]
    if not pictures:
        raise UnknownFormatError("has no multiscales in its metadata: it is no OME-Zarr picture")
    return [pictures[0], *(one for one in pictures[1:] if not BESIDE.search(_name(one[1])))]


def _multiscales(group: Any) -> Sequence[Mapping[str, Any]]:
    attributes = group.attrs.asdict()
    found: Sequence[Mapping[str, Any]] = attributes.get("ome", attributes).get("multiscales", ())
    return found  # 0.5 gathers under "ome" what 0.4 has at the top


def _name(scales: Mapping[str, Any]) -> str:
    return str(scales.get("name", ""))


def _scenes(pictures: Sequence[tuple[Any, Mapping[str, Any]]]) -> tuple[Scene, ...]:
    scenes = []
    for group, scales in pictures:
        axes = "".join(name.lower() for name in _axis_names(scales))
        shapes = [Plane(group[dataset["path"]], axes).shape_px for dataset in scales["datasets"]]
        scenes.append(Scene(_name(scales) if len(pictures) > 1 else "", max(shapes)))
    return tuple(scenes)


def _depths_um(plane: Plane, scales: Mapping[str, Any]) -> tuple[float | None, ...]:
    if "z" not in plane.axes:
        return (None,)
    step = _step_um(scales, "z")
    return tuple(None if step is None else index * step for index in range(plane.array.shape[plane.axes.index("z")]))


def _planes(group: Any, scales: Mapping[str, Any], depth: int) -> list[Plane]:
    axes = "".join(name.lower() for name in _axis_names(scales))
    planes = [Plane(group[dataset["path"]], axes, depth) for dataset in scales["datasets"]]
    for plane in planes:
        shape = plane.array.shape
        if len(shape) != len(axes) or not set("yx") <= set(axes) <= set(ALL_AXES) or min(shape) < 1:
            raise UnknownFormatError(f"states the axes {axes!r} for a shape of {shape}")
        channels = shape[axes.index("c")] if "c" in axes else 1
        if math.prod(plane.array.chunks) > LARGEST_CHUNK_BYTES:
            raise UnknownFormatError(f"is stored in chunks of {plane.array.chunks}, too large to read one at a time")
        if plane.array.dtype != np.uint8 or channels not in (1, 3):
            raise UnknownFormatError(
                f"holds {channels} channel(s) of {plane.array.dtype}: 8-bit RGB is what can be read"
            )
    return sorted(planes, key=lambda plane: -plane.shape_px[0])


def _axis_names(scales: Mapping[str, Any]) -> list[str]:
    axes = scales.get("axes", list(ALL_AXES))
    return [axis["name"] if isinstance(axis, Mapping) else axis for axis in axes]


def _mpp(scales: Mapping[str, Any]) -> Mpp | None:
    y, x = (_step_um(scales, axis) for axis in "yx")
    return None if y is None or x is None else credible_mpp(y, x, "OME-Zarr")


def _step_um(scales: Mapping[str, Any], name: str) -> float | None:
    """Scale of the first dataset times that of the whole, in the unit of the axis; None without a unit."""
    index = _axis_names(scales).index(name)
    axis = scales["axes"][index] if "axes" in scales else name
    unit = UM_PER_UNIT.get(axis.get("unit", "")) if isinstance(axis, Mapping) else None
    own, whole = (_scale(part, index) for part in (scales["datasets"][0], scales))
    return None if unit is None or own is None else own * (1.0 if whole is None else whole) * unit


def _scale(part: Mapping[str, Any], index: int) -> float | None:
    steps = part.get("coordinateTransformations", ())
    return next((float(step["scale"][index]) for step in steps if step.get("type") == "scale"), None)


def _files_in(folder: Path) -> Iterator[Path]:
    return (Path(where, name) for where, _, names in os.walk(folder) for name in names)


def fingerprint_of_folder(folder: Path) -> str:
    """Return 32 hex digits that name the content of a folder, whatever it is called.

    Taken from every file's place and size, every metadata document, and the first 16 KiB of 64 files spread evenly.
    """
    digest = hashlib.blake2b(digest_size=16)
    names = sorted(
        os.path.relpath(os.path.join(where, name), folder)  # noqa: PTH118  a slide may be 100,000 files
        for where, _, files in os.walk(folder)
        for name in files
    )
    spread = {names[(len(names) - 1) * piece // (PIECES - 1)] for piece in range(PIECES)} if names else set()
    for name in names:
        file = folder / name
        digest.update(f"{Path(name).as_posix()} {file.stat().st_size}\n".encode())
        if name in spread or file.name in METADATA_NAMES:
            with file.open("rb") as opened:
                digest.update(opened.read(16 * 1024))
    return digest.hexdigest()


FORMAT = Format(suffixes=(".zarr",), rank=10, open=open_ome_zarr, folders=True)

"""Which pages of a TIFF file are the picture that is read: its scenes, focal planes and levels."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._choice import BESIDE, Choice, Offer, Scene, must_be_one_of
from napari_pathlupi.slides._tiff_metadata import mpp_of, ome_length, ome_pixels

ICC_PROFILE = 34675
"""TIFF/EP and ICC.1, annex B.4: tag InterColorProfile."""
NDPI_DEPTH, UM_PER_NM = 65424, 1e-3
"""Hamamatsu's tag ZOffsetFromSlideCenter, in nm."""
OF_SCENES = ("ome", "scn")
"""Kinds of file whose series are pictures of their own; in others they are levels, labels and thumbnails."""
LIKE_ASPECT = 0.02
"""How far the aspect of a reduced page may be from that of level 0, for rounding of small levels (our choice)."""


def chosen_pages(tiff: Any, choice: Choice, name: str) -> tuple[list[Any], Mpp | None, Offer]:
    """Return the pages of the levels of what is chosen, its µm per pixel, and what else there is to choose from.

    Parameters
    ----------
    tiff
        An open tifffile.TiffFile.
    choice
        Which scene and plane.
    name
        The file's, for messages.

    Raises
    ------
    SlideError
        When scene or plane are not there.
    UnknownFormatError
        When its colours or planes are stored in a way that is left to another reader.
    """
    series = _scenes(tiff)
    scenes = tuple(Scene(str(one.name or "") if len(series) > 1 else "", _shape_px(one)) for one in series)
    must_be_one_of("scene", choice.scene, scenes, name)
    scene = series[choice.scene]
    levels = [level for level in scene.levels if len(level.pages) == 1 or _is_focal_stack(level)]
    if not levels:
        raise UnknownFormatError(f"{name} stores several planes apart")
    depths_um = _depths_um(tiff, scene, levels[0])
    offer = Offer(scenes, depths_um, icc_profile_of(levels[0].keyframe))
    offer.must_hold(choice, name)
    pages = [_page(level, choice.plane, name) for level in levels if choice.plane < _count(level)]
    if scene.kind in ("generic", "uniform"):
        pages = [pages[0], *_reduced(tiff, pages[0])]
    if any(page.parent is not tiff for page in pages):
        raise UnknownFormatError(f"{name} only points to other files that hold its pixels")
    return pages, mpp_of(tiff, pages[0], ome_pixels(tiff, scene)), offer


def _scenes(tiff: Any) -> list[Any]:
    """The series that may be read; first the one that is read unless asked."""
    pictures = [s for s in tiff.series if set("YX") <= set(s.axes)]
    if not pictures:
        raise ValueError("it holds no picture")
    named = [s for s in pictures if s.name == "Baseline"]
    pictures = [s for s in pictures if not BESIDE.search(str(s.name or ""))] or pictures
    main = (named or sorted(pictures, key=lambda s: -s.sizes.get("height", 0) * s.sizes.get("width", 0)))[0]
    beside = _scn_overviews(tiff) if main.kind == "scn" else set()
    return [main] + [
        one
        for index, one in enumerate(tiff.series)
        if one.kind in OF_SCENES and one in pictures and one is not main and index not in beside
    ]


def _scn_overviews(tiff: Any) -> set[int]:
    """Which series of a Leica file show the whole of the glass, label and all: their view is the collection's."""
    overviews = set()
    root = ElementTree.fromstring(tiff.scn_metadata)
    pixels = [(of, image) for of in root.iterfind("{*}collection") for image in of.iterfind("{*}image/{*}pixels/..")]
    for index, (collection, image) in enumerate(pixels):
        view = image.find("{*}view")
        if view is not None and all(view.get(side) == collection.get(side) for side in ("sizeX", "sizeY")):
            overviews.add(index)
    return overviews


def _shape_px(series: Any) -> tuple[int, int]:
    return int(series.keyframe.imagelength), int(series.keyframe.imagewidth)


def _is_focal_stack(level: Any) -> bool:
    """Whether its pages are whole pictures at several depths."""
    return "Z" in level.axes and level.keyframe.samplesperpixel >= 3


def _leading(level: Any) -> dict[str, int]:
    """Axes of a series along which its pages lie, with their lengths."""
    count = len(level.axes) - len(level.keyframe.axes)
    return dict(zip(level.axes[:count], level.shape[:count], strict=True))


def _count(level: Any) -> int:
    return _leading(level).get("Z", 1) if _is_focal_stack(level) else 1


def _page(level: Any, plane: int, name: str) -> Any:
    if plane == 0:
        return level.keyframe
    leading = _leading(level)
    index = int(np.ravel_multi_index([plane * (axis == "Z") for axis in leading], tuple(leading.values())))
    page = level.pages[index]
    if page is None:
        raise SlideError(f"{name} lists focal plane {plane}, but holds nothing of it: take another.")
    return page.aspage()


def _depths_um(tiff: Any, scene: Any, level: Any) -> tuple[float | None, ...]:
    count = _count(level)
    if count == 1:
        return (None,)
    if scene.kind == "ndpi":
        stated = [_page(level, plane, tiff.filename).tags.valueof(NDPI_DEPTH) for plane in range(count)]
        return tuple(None if depth is None else float(depth) * UM_PER_NM for depth in stated)
    pixels = ome_pixels(tiff, scene)
    step = None if pixels is None else ome_length(pixels, "Z")
    return tuple(None if step is None else plane * step for plane in range(count))


def icc_profile_of(page: Any) -> bytes:
    """Return the ICC profile of a tifffile page, or nothing."""
    profile = page.tags.valueof(ICC_PROFILE)
    return profile if isinstance(profile, bytes) else b""


def _reduced(tiff: Any, whole: Any) -> list[Any]:
    # tifffile leaves out reduced pages whose factor it does not expect; the aspect tells them from thumbnails
    aspect = whole.imagewidth / whole.imagelength
    pages = [page.aspage() for page in tiff.pages]
    reduced = [p for p in pages if p.is_reduced and abs(p.imagewidth / p.imagelength / aspect - 1) < LIKE_ASPECT]
    return sorted((p for p in reduced if p.imagewidth < whole.imagewidth), key=lambda p: -int(p.imagewidth))

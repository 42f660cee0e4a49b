"""Tissue as polygons in GeoJSON, out to QuPath and in from QuPath, TRIDENT and whoever writes like them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.errors import TableError
from napari_pathlupi.export.geojson import feature_of, properties_of, read_features, regions_of, write_features

_COLOUR = (0, 158, 115)
_PIECE = "tissue_id"
"""The property that numbers the pieces, as TRIDENT calls it."""


def write_tissue(path: Path, mask: TissueMask, frame: SlideFrame) -> None:
    """Write each piece of tissue, holes and all, as an annotation that QuPath opens in place.

    Its number (`TissueMask.pieces`) is the property ``tissue_id``; its name and area stand with it.

    Parameters
    ----------
    path
        The file; it appears only when it is complete.
    mask
        Where tissue is.
    frame
        The slide; its bounds, to which QuPath crops, are subtracted.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    write_features(path, _pieces(mask, frame))


def read_tissue(path: Path, frame: SlideFrame) -> list[BaseGeometry]:
    """Return the areas in a GeoJSON file, in level-0 pixels (x, y): whatever its features are called, they are tissue.

    Coordinates are taken as QuPath counts them, from the corner of the slide's bounds. A file of TRIDENT's
    (``contours_geojson``), known by features that have a ``tissue_id`` and no ``objectType``, counts from the corner of
    the slide. A ``crs`` says nothing: slides have none.

    Parameters
    ----------
    path
        The file.
    frame
        The slide.

    Raises
    ------
    TableError
        When the file cannot be read, is not GeoJSON or holds no area.
    """
    features = read_features(path)
    told = [properties_of(feature) for feature in features]
    if any(_PIECE in one for one in told) and not any("objectType" in one for one in told):
        frame = replace(frame, bounds_px0=None)
    areas = [region.geometry for region in regions_of(features, path, frame) if region.geometry.area > 0]
    if not areas:
        raise TableError(f"{path.name} holds no area ({len(features)} points or lines): outline tissue in it.")
    return areas


def _pieces(mask: TissueMask, frame: SlideFrame) -> Iterator[Mapping[str, Any]]:
    slide = shapely.box(0, 0, *frame.shape_px0[::-1])
    for number, polygons in mask.outlines().items():
        parts = shapely.get_parts(shapely.intersection(np.array(polygons), slide))
        feature = feature_of(_region(number, [part for part in parts if part.area], frame), frame)
        yield feature | {"properties": {_PIECE: number, **feature["properties"]}}


def _region(number: int, parts: list[Any], frame: SlideFrame) -> AnnotatedRegion:
    outline = shapely.MultiPolygon(parts)
    measured = {"Area µm^2": float(outline.area) * frame.mpp.y * frame.mpp.x} if frame.mpp else {}
    return AnnotatedRegion(
        outline,
        name=f"Tissue {number}",
        classification="Tissue",
        colour=_COLOUR,
        measurements=measured,
        identity=str(uuid5(NAMESPACE_OID, outline.wkt)),
    )

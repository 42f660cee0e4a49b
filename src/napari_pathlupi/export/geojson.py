"""Regions in QuPath's GeoJSON, out and in.

Everything follows what QuPath 0.8 writes and accepts (its ``qupath.lib.io`` type adapters): level-0 pixels of the
image *as QuPath opens it*, two decimals, the object type and a coloured class among the properties, NaN as a string.
"""

import gzip
import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import (
    DEFAULT_COLOUR,
    AnnotatedRegion,
    Colour,
    ObjectType,
    high_attention_regions,
)
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import TableError
from napari_pathlupi.export._export import Export
from napari_pathlupi.export._whole_file import whole_file

_DECIMALS = 2
"""Decimals of a coordinate, as QuPath writes them."""

_OBJECT_TYPES: Mapping[object, ObjectType] = {
    "annotation": "annotation",
    "tile": "tile",
    "detection": "detection",
    "cell": "detection",
    "PathTileObject": "tile",
    "PathDetectionObject": "detection",
    "PathCellObject": "detection",
}
"""What QuPath calls an object, up to version 0.2 by its Java class; anything else is an annotation, as in QuPath."""


def write_regions(path: Path, regions: Iterable[AnnotatedRegion], frame: SlideFrame) -> None:
    """Write regions as a FeatureCollection that QuPath opens in place, one feature at a time.

    Parameters
    ----------
    path
        The file; it appears only when it is complete.
    regions
        May be a generator: nothing is gathered in memory.
    frame
        The slide; its bounds, to which QuPath crops, are subtracted.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    write_features(path, (feature_of(region, frame) for region in regions))


def write_features(path: Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write features as a FeatureCollection, one at a time, as `write_regions` does."""
    with whole_file(path) as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        for index, feature in enumerate(features):
            file.write(b",\n" if index else b"\n")
            file.write(json.dumps(feature, separators=(",", ":"), allow_nan=False).encode())
        file.write(b"\n]}\n")


def read_regions(path: Path, frame: SlideFrame) -> list[AnnotatedRegion]:
    """Return the regions in a GeoJSON file of QuPath or of a tool that writes for it.

    Takes a FeatureCollection, a list of features, one feature or bare geometries; plain, ``.gz`` or ``.zip``; classes
    as an object, a string or absent; colours and measurements in their older forms too. Children follow their parent.
    Objects without a geometry (QuPath's root) and measurements that are no numbers are left out, as is the nucleus of
    a cell; an object's own colour counts before that of its class.

    Parameters
    ----------
    path
        The file.
    frame
        The slide; its bounds, to which QuPath crops, are added.

    Raises
    ------
    TableError
        When the file cannot be read or is not GeoJSON, with the number of the feature that is wrong.
    """
    return regions_of(read_features(path), path, frame)


def read_features(path: Path) -> list[Mapping[str, Any]]:
    """Return each feature of a GeoJSON file that has a geometry, as `read_regions` does."""
    try:
        roots = [json.loads(text) for text in _texts(path)]
        return [feature for root in roots for feature in _features(root)]
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, EOFError, RecursionError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        raise TableError(f"{path.name} is not GeoJSON ({error}): export it again from QuPath as GeoJSON.") from error


def regions_of(features: Iterable[Mapping[str, Any]], path: Path, frame: SlideFrame) -> list[AnnotatedRegion]:
    """Return the features of a file as regions, as `read_regions` does."""
    regions = []
    for number, feature in enumerate(features, start=1):
        try:
            regions.append(_region(feature, frame))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, ShapelyError) as error:
            raise TableError(
                f"feature {number} of {path.name} has no outline that can be drawn ({error}): "
                "delete or mend it where it was drawn and export again."
            ) from error
    return regions


def feature_of(region: AnnotatedRegion, frame: SlideFrame) -> dict[str, Any]:
    """Return a region as QuPath writes it."""
    outline = shapely.transform(region.geometry, lambda xy: _rounded(frame.qupath_from_px0(xy[:, ::-1])))
    parts = shapely.get_parts(outline)
    geometry = mapping(parts[0] if len(parts) == 1 else outline)
    if region.is_ellipse:
        geometry["isEllipse"] = True
    properties: dict[str, Any] = {"objectType": region.object_type}
    colour = [int(part) for part in region.colour]
    if region.name:
        properties["name"] = region.name
    if region.classification:
        properties["classification"] = _class_names(region.classification) | {"color": colour}
    elif region.colour != DEFAULT_COLOUR:
        properties["color"] = colour
    properties["isLocked"] = bool(region.locked)
    properties["measurements"] = {name: _number(value) for name, value in region.measurements.items()}
    if region.metadata:
        properties["metadata"] = dict(region.metadata)
    return {"type": "Feature", "id": region.identity, "geometry": geometry, "properties": properties}


def _rounded(points: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return points.round(_DECIMALS)


def _class_names(classification: str) -> dict[str, Any]:
    names = classification.split(": ")
    return {"names": names} if len(names) > 1 and all(names) else {"name": classification}


def _number(value: float) -> float | str:
    value = float(value)
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _texts(path: Path) -> Iterator[str]:
    """Contents of the file, or of each GeoJSON in an archive; known by its first bytes, whatever its ending."""
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content).decode("utf-8-sig")
    elif content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith((".geojson", ".json"))]
            if not members:
                raise ValueError("the archive holds no .geojson file")
            if any(member.flag_bits & 1 for member in members):
                raise ValueError("the archive is locked by a password")
            for member in members:
                yield archive.read(member).decode("utf-8-sig")
    else:
        yield content.decode("utf-8-sig")


def _features(node: Any) -> Iterator[Mapping[str, Any]]:
    """Each feature that has a geometry, parents before their children."""
    if isinstance(node, list):
        for part in node:
            yield from _features(part)
    elif not isinstance(node, dict):
        raise ValueError(f"{type(node).__name__} where a feature should stand")
    elif node.get("type") == "FeatureCollection":
        yield from _features(node.get("features") or [])
    elif node.get("type") == "Feature":
        if node.get("geometry"):
            yield node
        yield from _features(properties_of(node).get("childObjects") or [])
    elif "coordinates" in node:
        yield {"geometry": node}
    else:
        raise ValueError(f"an object of type {node.get('type')!r} where a feature should stand")


def properties_of(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties of a feature, empty where it has none."""
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _region(feature: Mapping[str, Any], frame: SlideFrame) -> AnnotatedRegion:
    properties = properties_of(feature)
    geometry = feature["geometry"]
    outline: BaseGeometry = shapely.force_2d(shape(geometry))
    classification, class_colour = _class(properties.get("classification"))
    metadata = properties.get("metadata")
    legacy_type = feature.get("id")
    kind = next((properties[key] for key in ("objectType", "object_type", "type") if key in properties), legacy_type)
    return AnnotatedRegion(
        shapely.transform(outline, lambda xy: frame.px0_from_qupath(xy)[:, ::-1]),
        name=str(properties.get("name") or ""),
        classification=classification,
        colour=_colour(properties) or class_colour or DEFAULT_COLOUR,
        measurements=dict(_measurements(properties.get("measurements"))),
        metadata={key: str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else {},
        identity=_identity(feature.get("id")),
        object_type=_OBJECT_TYPES.get(kind, "annotation") if isinstance(kind, str) else "annotation",
        locked=bool(properties.get("isLocked")),
        is_ellipse=bool(geometry.get("isEllipse")),
    )


def _identity(identity: object) -> str:
    try:
        return str(UUID(str(identity)))
    except ValueError:
        return str(uuid4())


def _class(stated: object) -> tuple[str, Colour | None]:
    if isinstance(stated, str):
        return stated, None
    if not isinstance(stated, dict):
        return "", None
    names = stated.get("names")
    name = ": ".join(map(str, names)) if isinstance(names, list) else str(stated.get("name") or "")
    return name, _colour(stated)


def _colour(owner: Mapping[str, Any]) -> Colour | None:
    """``color`` as three or four numbers, or ``colorRGB``, one integer that packs them, as before QuPath 0.4."""
    parts, packed = owner.get("color"), owner.get("colorRGB")
    if isinstance(parts, Sequence) and len(parts) >= 3 and all(isinstance(part, int | float) for part in parts):
        red, green, blue = (int(min(255, max(0, part))) for part in parts[:3])
        return red, green, blue
    if isinstance(packed, int):
        return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return None


def _measurements(stated: object) -> Iterator[tuple[str, float]]:
    """Numbers by name; before QuPath 0.4 a list of objects with name and value."""
    if isinstance(stated, list):
        stated = {entry.get("name"): entry.get("value") for entry in stated if isinstance(entry, dict)}
    if not isinstance(stated, dict):
        return
    for name, value in stated.items():
        try:
            yield str(name), float(value)
        except (TypeError, ValueError, OverflowError):
            continue


def _write(path: Path, prediction: Prediction, frame: SlideFrame) -> None:
    write_regions(path, high_attention_regions(prediction, frame), frame)


EXPORT = Export("High-attention regions for QuPath", ".geojson", _write, fits=lambda made: made.attention is not None)

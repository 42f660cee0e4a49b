"""GeoJSON as other tools write it, and what is none."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handmade import FRAME
from napari_pathlupi.core.regions import DEFAULT_COLOUR
from napari_pathlupi.errors import TableError
from napari_pathlupi.export.geojson import read_regions

SQUARE = {"type": "Polygon", "coordinates": [[[1, 2], [5, 2], [5, 4], [1, 4], [1, 2]]]}
KEYS = [
    *("type", "geometry", "coordinates", "properties", "features", "classification", "name", "names", "color"),
    *("colorRGB", "measurements", "value", "metadata", "childObjects", "objectType", "id", "isEllipse"),
]
REUSED_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def feature(**properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": SQUARE, "properties": properties}


def test_an_ellipse_of_qupath_keeps_its_flag_when_it_has_one(tmp_path: Path) -> None:
    path = written(tmp_path / "e.geojson", feature() | {"geometry": SQUARE | {"isEllipse": True}})
    (region,) = read_regions(path, FRAME)
    assert region.is_ellipse


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [feature()]},
        [feature()],
        feature(),
        SQUARE,
        [SQUARE],
        {"type": "Feature", "geometry": SQUARE, "properties": None},
        {"type": "Feature", "geometry": None, "properties": {"objectType": "root", "childObjects": [feature()]}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [SQUARE["coordinates"][0][:-1]]}},
    ],
)
def test_it_reads_every_form_that_tools_write(tmp_path: Path, content: Any) -> None:
    (region,) = read_regions(written(tmp_path / "r.json", content), FRAME)
    assert region.geometry.equals(shapely.box(1, 2, 5, 4))


def test_it_reads_packed_files_whatever_their_ending(tmp_path: Path) -> None:
    text = json.dumps(feature())
    (tmp_path / "a.geojson").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "b.geojson", "w") as archive:
        archive.writestr("one.geojson", text)
        archive.writestr("folder/two.json", "\ufeff" + text)
        archive.writestr("readme.txt", "not this")
    assert len(read_regions(tmp_path / "a.geojson", FRAME)) == 1
    assert len(read_regions(tmp_path / "b.geojson", FRAME)) == 2


@pytest.mark.parametrize(
    ("properties", "classification", "colour"),
    [
        ({}, "", DEFAULT_COLOUR),
        ({"classification": None}, "", DEFAULT_COLOUR),
        ({"classification": {}}, "", DEFAULT_COLOUR),
        ({"classification": "Tumor"}, "Tumor", DEFAULT_COLOUR),
        ({"classification": {"name": "Tumor"}}, "Tumor", DEFAULT_COLOUR),
        ({"classification": {"name": "Tumor", "color": None}}, "Tumor", DEFAULT_COLOUR),
        ({"classification": {"name": "Tumor", "color": [200, 1, 0, 255]}}, "Tumor", (200, 1, 0)),
        ({"classification": {"name": "Tumor", "colorRGB": -3670016}}, "Tumor", (200, 0, 0)),
        ({"classification": {"names": ["A", "B"], "color": [1, 2, 3]}}, "A: B", (1, 2, 3)),
        ({"color": [9, 9, 9], "classification": {"name": "A", "color": [1, 2, 3]}}, "A", (9, 9, 9)),
        ({"color": ["np.int32(255)", 0, 0]}, "", DEFAULT_COLOUR),
    ],
)
def test_it_knows_every_way_to_write_a_class(
    tmp_path: Path, properties: dict[str, Any], classification: str, colour: tuple[int, int, int]
) -> None:
    (region,) = read_regions(written(tmp_path / "r.json", feature(**properties)), FRAME)
    assert (region.classification, region.colour) == (classification, colour)


@pytest.mark.parametrize(
    "measurements",
    [
        {"a": 1, "b": "NaN", "c": "-Infinity", "d": None, "e": [1], "f": "much"},
        [{"name": "a", "value": 1}, {"name": "b", "value": "nan"}, {"name": "c", "value": "-inf"}, {"name": "d"}, 7],
    ],
)
def test_it_keeps_the_measurements_that_are_numbers(tmp_path: Path, measurements: Any) -> None:
    (region,) = read_regions(written(tmp_path / "r.json", feature(measurements=measurements)), FRAME)
    np.testing.assert_equal(region.measurements, {"a": 1.0, "b": np.nan, "c": -np.inf})


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ({"properties": {"objectType": "tile"}}, "tile"),
        ({"properties": {"object_type": "detection"}}, "detection"),
        ({"properties": {"type": "cell"}}, "detection"),
        ({"properties": {"objectType": "something new"}}, "annotation"),
        ({"properties": {"objectType": ["tile"]}}, "annotation"),
        ({"id": "PathTileObject"}, "tile"),
        ({"id": 7}, "annotation"),
    ],
)
def test_it_knows_every_way_to_write_an_object_type(tmp_path: Path, stated: dict[str, Any], meant: str) -> None:
    (region,) = read_regions(written(tmp_path / "r.json", feature() | stated), FRAME)
    assert region.object_type == meant


def test_a_key_that_stands_twice_is_read(tmp_path: Path) -> None:
    text = json.dumps(feature(metadata={"k": 1})).replace(
        '"metadata": {"k": 1}', '"metadata": {}, "metadata": {"k": 1}'
    )
    (region,) = read_regions(written(tmp_path / "r.json", text), FRAME)
    assert region.metadata == {"k": "1"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "x_px0,y_px0\n1,2\n",
        "null",
        '"text"',
        '{"type": "Topology"}',
        "[" * 100_000,
        '{"type":"Feature","geometry":{"type":"Polygon"}}',
        '{"type":"Feature","geometry":"here"}',
        '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[]}}',
        '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}}',
        '{"type":"Feature","geometry":{"type":"Point","coordinates":[NaN,1]}}',
        '{"type":"Feature","geometry":{"type":"Point","coordinates":["a","b"]}}',
        '{"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[]}}',
        '{"type":"Feature","geometry":{"type":"Cube","coordinates":[1]}}',
    ],
)
def test_what_is_no_geojson_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(TableError, match=r"^[^\n]*\.$"):
        read_regions(written(tmp_path / "r.json", content), FRAME)


@pytest.mark.parametrize(
    "content", [b"\x1f\x8bbroken", gzip.compress(b"[]", mtime=0)[:-6], b"PK\x03\x04broken", b"\xff\xfe\x00"]
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(TableError, match="is not GeoJSON"):
        read_regions(tmp_path / "r.json", FRAME)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.json: No such file"):
        read_regions(tmp_path / "none.json", FRAME)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["Polygon", "Feature", "NaN", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@REUSED_FOLDER
@given(json_values, json_values, json_values)
def test_no_json_breaks_the_reader(tmp_path: Path, root: Any, geometry: Any, properties: Any) -> None:
    for content in (root, {"type": "Feature", "geometry": geometry, "properties": properties}, feature() | {"x": root}):
        path = written(tmp_path / "r.json", content)
        try:
            read_regions(path, FRAME)
        except TableError:
            continue

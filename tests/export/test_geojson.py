import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from handmade import BOUNDED_FRAME, FRAME, a_prediction
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.export.geojson import EXPORT, read_regions, write_regions

REUSED_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)

places = st.integers(-10_000, 900_000).map(lambda hundredths: hundredths / 100)
sizes = st.integers(200, 90_000).map(lambda hundredths: hundredths / 100)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def polygons(draw: st.DrawFn) -> BaseGeometry:
    """A rectangle on the lattice of two decimals, with or without a hole."""
    x, y, width, height = draw(places), draw(places), draw(sizes), draw(sizes)
    outer = shapely.box(x, y, x + width, y + height)
    if not draw(st.booleans()):
        return outer
    hole = shapely.box(x + width / 4, y + height / 4, x + width / 2, y + height / 2)
    return shapely.transform(outer.difference(hole), lambda xy: xy.round(2))


@st.composite
def geometries(draw: st.DrawFn) -> BaseGeometry:
    kind = draw(st.sampled_from(["Polygon", "MultiPolygon", "Point", "MultiPoint", "LineString"]))
    if kind == "Polygon":
        return draw(polygons())
    if kind == "MultiPolygon":
        first = draw(polygons())
        shift = first.bounds[2] - first.bounds[0] + 3
        return shapely.MultiPolygon(
            [first, shapely.transform(first, lambda xy: (xy + np.array([shift, 0.0])).round(2))]
        )
    points = draw(st.lists(st.tuples(places, places), min_size=2, max_size=5, unique=True))
    return {"Point": lambda p: shapely.Point(p[0]), "MultiPoint": shapely.MultiPoint, "LineString": shapely.LineString}[
        kind
    ](points)


@st.composite
def regions(draw: st.DrawFn) -> AnnotatedRegion:
    classification = draw(words)
    colour = draw(st.tuples(*[st.integers(0, 255)] * 3))
    return AnnotatedRegion(
        draw(geometries()),
        name=draw(words),
        classification=classification,
        colour=colour,
        measurements=draw(st.dictionaries(words, st.floats())),
        metadata=draw(st.dictionaries(words, words)),
        object_type=draw(st.sampled_from(["annotation", "tile", "detection"])),
        locked=draw(st.booleans()),
        is_ellipse=draw(st.booleans()),
    )


def assert_same(first: AnnotatedRegion, second: AnnotatedRegion) -> None:
    assert shapely.equals_exact(first.geometry.normalize(), second.geometry.normalize(), tolerance=0.0051)
    for field in ("name", "classification", "colour", "metadata", "identity", "object_type", "locked", "is_ellipse"):
        assert getattr(first, field) == getattr(second, field), field
    assert first.measurements.keys() == second.measurements.keys()
    for name, value in first.measurements.items():
        np.testing.assert_equal(second.measurements[name], value)


@REUSED_FOLDER
@given(st.lists(regions(), max_size=4), st.sampled_from([FRAME, BOUNDED_FRAME]))
def test_what_is_written_comes_back_the_same(
    tmp_path: Path, outlined: list[AnnotatedRegion], frame: SlideFrame
) -> None:
    path = tmp_path / "regions.geojson"
    write_regions(path, outlined, frame)
    back = read_regions(path, frame)
    assert len(back) == len(outlined)
    for first, second in zip(outlined, back, strict=True):
        assert_same(first, second)


def test_every_file_of_qupath_is_read_and_survives_the_way_back(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "annotations/qupath").iterdir())
    assert files
    for file in files:
        first = read_regions(file, BOUNDED_FRAME)
        assert first, file.name
        write_regions(tmp_path / "back.geojson", first, BOUNDED_FRAME)
        for one, other in zip(first, read_regions(tmp_path / "back.geojson", BOUNDED_FRAME), strict=True):
            assert_same(one, other)


def test_a_hole_drawn_in_qupath_stays_a_hole(shared_data: Path) -> None:
    (region,) = read_regions(shared_data / "annotations/qupath/histoqc_holed_polygon.geojson", FRAME)
    assert region.geometry.interiors
    assert region.identity == "2aa7e31c-8437-499d-ba61-88aacd9a2c3f"


def test_qupath_counts_from_the_corner_of_the_bounds(tmp_path: Path) -> None:
    path = tmp_path / "r.geojson"
    write_regions(path, [AnnotatedRegion(shapely.Point(80, 130))], BOUNDED_FRAME)
    (written_feature,) = json.loads(path.read_text())["features"]
    assert written_feature["geometry"] == {"type": "Point", "coordinates": [5.0, 10.0]}


def test_each_feature_is_what_qupath_accepts(tmp_path: Path) -> None:
    one_part = shapely.MultiPolygon([shapely.box(0, 0, 10 / 3, 1)])
    region = AnnotatedRegion(
        one_part,
        classification="Immune: CD8",
        colour=(1, 2, 3),
        measurements={"a": np.float64("nan"), "b": 2},
    )
    write_regions(tmp_path / "r.geojson", [region], FRAME)
    (one,) = json.loads((tmp_path / "r.geojson").read_text(), parse_constant=pytest.fail)["features"]
    assert one["id"] == region.identity
    assert one["geometry"]["type"] == "Polygon"
    ring = one["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert all(round(number, 2) == number for point in ring for number in point)
    assert one["properties"]["objectType"] == "annotation"
    assert one["properties"]["classification"] == {"names": ["Immune", "CD8"], "color": [1, 2, 3]}
    assert one["properties"]["measurements"] == {"a": "NaN", "b": 2.0}


def test_a_region_without_a_class_leaves_its_colour_to_qupath(tmp_path: Path) -> None:
    write_regions(tmp_path / "r.geojson", [AnnotatedRegion(shapely.Point(1, 1))], FRAME)
    assert "color" not in (tmp_path / "r.geojson").read_text()


def test_the_export_holds_the_high_attention_regions(tmp_path: Path) -> None:
    weights = np.ones((5, 6))
    weights[1:3, 1:3] = 9
    EXPORT.write(tmp_path / "r.geojson", a_prediction(weights), BOUNDED_FRAME)
    (region,) = read_regions(tmp_path / "r.geojson", BOUNDED_FRAME)
    assert region.classification == "High attention"
    assert region.geometry.area == pytest.approx(4 * 448 * 224 * 0.5 / 0.26, rel=1e-4)

"""Tissue to GeoJSON and back."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy import ndimage

from handmade import BOUNDED_FRAME, FRAME
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.tissue import GLASS, TISSUE, TissueMask
from napari_pathlupi.errors import TableError
from napari_pathlupi.export._tissue import read_tissue, write_tissue
from napari_pathlupi.export.geojson import read_regions

STEP = 8 / 0.255, 8 / 0.255


def blobs(frame: SlideFrame = FRAME, seed: int = 0) -> TissueMask:
    """Pieces with holes, some of which reach over the slide's edge."""
    shape = tuple(int(np.ceil(side / step)) for side, step in zip(frame.shape_px0, STEP, strict=True))
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return TissueMask(np.where(field > -0.03, TISSUE, GLASS).astype(np.uint8), STEP)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize("frame", [FRAME, BOUNDED_FRAME])
@pytest.mark.parametrize("seed", range(3))
def test_a_mask_comes_back_as_it_was(tmp_path: Path, frame: SlideFrame, seed: int) -> None:
    mask = blobs(frame, seed)
    write_tissue(tmp_path / "t.geojson", mask, frame)
    areas = read_tissue(tmp_path / "t.geojson", frame)
    back = TissueMask.within(areas, frame.shape_px0, STEP, "a file")
    assert agreement(back.tissue, mask.tissue) > 0.98
    inner = np.s_[:-1, :-1]  # the last row and column reach over the slide's edge
    np.testing.assert_array_equal(back.tissue[inner], mask.tissue[inner])


def test_each_piece_is_an_annotation_with_its_number_and_area(tmp_path: Path) -> None:
    mask = blobs()
    write_tissue(tmp_path / "t.geojson", mask, FRAME)
    features = json.loads((tmp_path / "t.geojson").read_text())["features"]
    assert [one["properties"]["tissue_id"] for one in features] == list(range(1, mask.pieces().max() + 1))
    regions = read_regions(tmp_path / "t.geojson", FRAME)
    assert {region.classification for region in regions} == {"Tissue"}
    assert any(polygon.interiors for region in regions for polygon in shapely.get_parts(region.geometry))
    for region in regions:
        assert region.measurements["Area µm^2"] == pytest.approx(region.area_um2(FRAME.mpp), rel=1e-3)


def test_writing_twice_gives_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        write_tissue(tmp_path / name, blobs(), FRAME)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def contours(*properties: dict[str, object]) -> str:
    """GeoJSON as GeoPandas writes it for TRIDENT: a projection that means nothing, and the slide's own pixels."""
    ring = [[200, 300], [900, 300], [900, 800], [200, 800], [200, 300]]
    hole = [[400, 400], [400, 500], [600, 500], [600, 400], [400, 400]]
    features = [
        {"type": "Feature", "properties": one, "geometry": {"type": "Polygon", "coordinates": [ring, hole]}}
        for one in properties
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    return json.dumps({"type": "FeatureCollection", "name": "slide", "crs": crs, "features": features})


@pytest.mark.parametrize("frame", [FRAME, BOUNDED_FRAME])
def test_contours_of_trident_lie_where_they_were_counted_from_the_slides_corner(
    tmp_path: Path, frame: SlideFrame
) -> None:
    (tmp_path / "t.geojson").write_text(contours({"tissue_id": 0}))
    (area,) = read_tissue(tmp_path / "t.geojson", frame)
    assert area.bounds == (200, 300, 900, 800)
    assert area.area == 700 * 500 - 200 * 100


def test_annotations_of_qupath_are_counted_from_the_bounds(tmp_path: Path) -> None:
    (tmp_path / "q.geojson").write_text(contours({"objectType": "annotation"}))
    (area,) = read_tissue(tmp_path / "q.geojson", BOUNDED_FRAME)
    assert area.bounds == (275, 420, 975, 920)


def test_real_annotations_of_qupath_are_tissue(shared_data: Path) -> None:
    (area,) = read_tissue(shared_data / "annotations/qupath/histoqc_holed_polygon.geojson", FRAME)
    assert area.interiors


@pytest.mark.parametrize("features", ["[]", '{"type":"Point","coordinates":[1,2]}'])
def test_a_file_without_areas_says_so(tmp_path: Path, features: str) -> None:
    (tmp_path / "t.geojson").write_text(features)
    with pytest.raises(TableError, match="holds no area"):
        read_tissue(tmp_path / "t.geojson", FRAME)

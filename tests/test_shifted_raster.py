"""Tiles of others, whose raster begins off the slide's corner: every map and outline lies where they do."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
import tifffile

from handmade import SLIDE_MPP, a_prediction
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.placed import placed_tiles
from napari_pathlupi.core.regions import high_attention_regions
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.export.ome_tiff import EXPORT as OME_TIFF
from napari_pathlupi.layers import attention_layer, subtype_raster

FRAME = SlideFrame((9000, 9000), SLIDE_MPP)


@pytest.fixture
def shifted() -> Prediction:
    """Overlapping tiles from (130, 250) on, every second one twice as attended, the last four most."""
    origins = np.argwhere(np.ones((5, 6))) * (224.0, 215.0) + (130.0, 250.0)
    prediction = a_prediction(np.where(np.arange(30) < 26, 1.0, 30.0).reshape(5, 6))
    return replace(prediction, grid=placed_tiles(origins, 224, 0.5, SLIDE_MPP))


def test_the_layer_puts_each_cell_around_the_middle_of_its_tile(shifted):
    values, options, _ = attention_layer(shifted, "run", SLIDE_MPP)
    row, column = shifted.grid.cells[7]
    middle = np.array(options["translate"]) + np.array([row, column]) * options["scale"]
    tile = (shifted.grid.origins_px0[7] + np.array(shifted.grid.side_px0) / 2) * (SLIDE_MPP.y, SLIDE_MPP.x)
    np.testing.assert_allclose(middle, tile)
    assert values[row, column] == shifted.percentile[7]


def test_regions_lie_around_the_tiles_that_they_are_made_of(shifted):
    (region,) = high_attention_regions(shifted, FRAME, 0.87)
    centres = shifted.grid.origins_px0[26:] + np.array(shifted.grid.side_px0) / 2
    assert shapely.contains_xy(region.geometry, centres[:, 1], centres[:, 0]).all()
    assert region.geometry.area == pytest.approx(4 * 224 * 215)


def test_the_ome_tiff_says_where_it_begins(shifted, tmp_path: Path):
    OME_TIFF.write(tmp_path / "map.ome.tif", shifted, FRAME)
    with tifffile.TiffFile(tmp_path / "map.ome.tif") as file:
        plane = ElementTree.fromstring(file.ome_metadata).find(".//{*}Plane")
    top, left = shifted.grid.raster_origin_px0
    assert float(plane.get("PositionY")) == pytest.approx(top * SLIDE_MPP.y)
    assert float(plane.get("PositionX")) == pytest.approx(left * SLIDE_MPP.x)


def test_a_class_is_drawn_where_tiles_share_a_cell_by_what_they_say_together(shifted):
    twice = placed_tiles(np.repeat([[0.0, 0.0], [448.0, 0.0]], 15, axis=0), 224, 0.5, SLIDE_MPP)
    prediction = replace(shifted, grid=twice)
    picture = subtype_raster(prediction)
    assert picture.shape == twice.raster_shape
    assert picture[0, 0] == 0  # none of its tiles has more than an even share
    assert picture[1, 0] == 1

"""A model without attention gives no map of it, never a uniform one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handmade import FRAME, SLIDE_MPP, a_prediction
from napari_pathlupi import layers
from napari_pathlupi.catalogue import exports
from napari_pathlupi.core.regions import high_attention_regions
from napari_pathlupi.core.results import NO_ATTENTION, Prediction
from napari_pathlupi.errors import OutputError
from napari_pathlupi.export.csv import tile_table
from napari_pathlupi.export.html import report
from napari_pathlupi.export.tiles_geojson import tiles
from napari_pathlupi.workflows.save import save_prediction


@pytest.fixture
def silent() -> Prediction:
    return replace(a_prediction(), attention=None, notes=(NO_ATTENTION,))


def test_it_still_says_which_tiles_were_read(silent: Prediction) -> None:
    np.testing.assert_array_equal(silent.read, a_prediction().read)
    assert silent.partial and not silent.maps


def test_no_column_and_no_measurement_speaks_of_attention(silent: Prediction) -> None:
    assert not [name for name in tile_table(silent).columns if "attention" in name]
    assert not [name for tile in tiles(silent) for name in tile.measurements if "ttention" in name]
    assert [name for name in tile_table(silent).columns if name.startswith("evidence_")]


def test_no_layer_and_no_region_is_made_of_it(silent: Prediction) -> None:
    assert layers.subtype_layer(silent, "run", SLIDE_MPP) is None
    assert high_attention_regions(silent, FRAME, 0.0) == []


def test_the_report_has_a_sentence_in_place_of_the_map(silent: Prediction) -> None:
    assert "<img" in report(a_prediction())
    assert "<img" not in report(silent) and NO_ATTENTION in report(silent)


def test_files_of_the_map_are_left_out_and_refused_when_asked_for(silent: Prediction, tmp_path: Path) -> None:
    assert not [path for path in save_prediction(silent, FRAME, tmp_path) if path.name.endswith((".tif", ".geojson"))]
    with pytest.raises(OutputError, match="gives no attention"):
        exports["ome-tiff"].write(tmp_path / "map.ome.tif", silent, FRAME)

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer, Shapes

from handmade import SLIDE_MPP, a_prediction
from napari_pathlupi import layers
from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.outlook import Risk, SurvivalCurve
from napari_pathlupi.core.results import Evidence, Prediction
from napari_pathlupi.core.tissue import TissueMask

MPP = Mpp(0.5, 0.25, "test")


@pytest.fixture
def prediction() -> Prediction:
    return a_prediction()


def test_a_tile_lies_where_its_level_0_pixels_say(prediction: Prediction) -> None:
    layer = Layer.create(*layers.attention_layer(prediction, "run", SLIDE_MPP))
    for index, (row, column) in enumerate(prediction.grid.cells):
        origin_um = prediction.grid.origins_px0[index] * (SLIDE_MPP.y, SLIDE_MPP.x)
        corner = layer.data_to_world((row - 0.5, column - 0.5))
        assert np.allclose(corner, origin_um)


def test_a_map_lies_on_its_slide_after_the_scale_was_restated(prediction: Prediction) -> None:
    for made in (layers.attention_layer(prediction, "run", MPP), layers.subtype_layer(prediction, "run", MPP)):
        assert made is not None
        layer = Layer.create(*made)
        row, column = prediction.grid.cells[-1]
        corner = layer.data_to_world((row - 0.5, column - 0.5))
        assert np.allclose(corner, prediction.grid.origins_px0[-1] * (MPP.y, MPP.x))


def test_the_corner_of_a_level_0_pixel_is_its_number_times_mpp() -> None:
    placed = layers.placement(MPP)
    layer = Image(np.zeros((8, 8)), scale=placed["scale"], translate=placed["translate"])
    assert np.allclose(layer.data_to_world((2.5, 4.5)), (3 * MPP.y, 5 * MPP.x))


def test_a_slide_of_unknown_scale_is_shown_in_pixels() -> None:
    placed = layers.placement(None)
    assert placed["scale"] == (1, 1)
    assert placed["units"] == ("pixel", "pixel")


def test_attention_is_nan_where_no_tile_was_read(prediction: Prediction) -> None:
    values, options, kind = layers.attention_layer(prediction, "run", SLIDE_MPP)
    assert kind == "image"
    assert values.dtype == np.float32
    assert np.isfinite(values).sum() == prediction.read.sum()
    assert options["contrast_limits"] == (0, 1)


def test_the_colour_of_attention_rises_from_nothing(prediction: Prediction) -> None:
    layer = Layer.create(*layers.attention_layer(prediction, "run", SLIDE_MPP))
    alpha = layer.colormap.map(np.linspace(0, 1, 11))[:, 3]
    assert alpha[0] == 0
    assert np.all(np.diff(alpha) >= 0)
    assert layer.colormap.map(np.array([np.nan]))[0, 3] == 0


def test_a_tile_speaks_only_with_more_attention_than_an_even_spread(prediction: Prediction) -> None:
    picture = layers.subtype_raster(prediction)
    rows, columns = prediction.grid.cells.T
    above = np.nan_to_num(prediction.times_uniform) > 1
    assert np.array_equal(picture[rows, columns] > 0, above)
    expected = prediction.evidence.values.argmax(1) + 1
    assert np.array_equal(picture[rows, columns][above], expected[above])


def test_the_subtype_map_has_the_colours_of_the_answer(prediction: Prediction) -> None:
    made = layers.subtype_layer(prediction, "run", SLIDE_MPP)
    assert made is not None
    layer = Layer.create(*made)
    assert isinstance(layer, Labels)
    assert list(layer.features["class"]) == ["none", "Demo A", "Demo <B>"]
    assert np.allclose(layer.colormap.color_dict[1][:3], np.array([0x00, 0x72, 0xB2]) / 255, atol=0.01)
    assert layer.colormap.color_dict[0][3] == 0
    assert layer.metadata["pathlupi"]["legend"] == layers.LEGEND


def test_evidence_for_risks_and_bins_of_time_makes_no_subtype_map(prediction: Prediction) -> None:
    evidence = Evidence(("log hazard",), prediction.evidence.values[:, :1], "exact share of the logit")
    risk = replace(prediction, answer=Risk("death", 2.1), evidence=evidence)
    curve = replace(prediction, answer=SurvivalCurve("overall survival", "months", (3.0, 9.0), (0.9, 0.4)))
    for other in (risk, curve):
        assert layers.subtype_layer(other, "run", SLIDE_MPP) is None


def test_every_result_says_which_run_slide_and_model_it_is_of(prediction: Prediction) -> None:
    for made in (layers.attention_layer(prediction, "run-1", MPP), layers.subtype_layer(prediction, "run-1", MPP)):
        assert made is not None
        told = made[1]["metadata"]["pathlupi"]
        assert (told["run"], told["fingerprint"], told["model"]) == ("run-1", "0" * 32, "Demo model")
        assert "Demo model" in made[1]["name"]


def test_tissue_covers_what_its_mask_covers() -> None:
    mask = TissueMask(np.array([[0, 1], [1, 2]], dtype=np.uint8), (64.0, 64.0))
    layer = Layer.create(*layers.tissue_layer(mask, "f" * 32, MPP))
    assert np.allclose(layer.data_to_world((1.5, 1.5)), (128 * MPP.y, 128 * MPP.x))


@pytest.mark.parametrize("mpp", [MPP, None])
def test_regions_are_drawn_in_level_0_pixels(mpp: Mpp | None) -> None:
    layer = Layer.create(*layers.regions_layer("f" * 32, mpp))
    assert isinstance(layer, Shapes)
    layer.add(np.array([[0, 0], [0, 10], [10, 10]]), shape_type="polygon")
    assert list(layer.features["class"]) == ["Region"]
    assert np.allclose(layer.data_to_world((3, 5)), (3 * mpp.y, 5 * mpp.x) if mpp else (3, 5))

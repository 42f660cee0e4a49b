"""Models of WSInfer as models like any other."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from addressed import write_pyramid
from napari_pathlupi import layers
from napari_pathlupi.bundle import Bundle
from napari_pathlupi.cli import main
from napari_pathlupi.core.answers import TileShares
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import BundleError
from napari_pathlupi.export.csv import wsinfer_table
from napari_pathlupi.slides import open_slide
from napari_pathlupi.workflows.prediction.classify_tiles import load_model
from napari_pathlupi.workflows.prediction.predict import PredictConfig, predict
from wsinfer_models import write_wsinfer

SIDE = 350
"""Side of a tile on the slide: 350 px at 0.25 µm/px, on a slide of 0.25."""


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 x 6 tiles of 87.5 µm of tissue, the left half blue, the right half red."""
    picture = np.empty((4 * SIDE, 6 * SIDE, 3), np.uint8)
    picture[:, : 3 * SIDE], picture[:, 3 * SIDE :] = (90, 60, 190), (210, 60, 120)
    return write_pyramid(tmp_path_factory.mktemp("striped") / "striped.tif", [picture], tile=256)


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wsinfer(tmp_path_factory.mktemp("models") / "breast", [-5.0, 5.0])


def predicted(path: Path, folder: Path, batch_size: int = 5) -> Prediction:
    with open_slide(path, mpp=0.25) as slide:
        return predict(slide, load_model(folder), PredictConfig(batch_size=batch_size, min_coverage=0.0))


def test_the_answer_is_the_share_of_the_tiles_and_every_class_has_a_map(striped: Path, two_classes: Path) -> None:
    prediction = predicted(striped, two_classes)
    assert prediction.grid.side_px0 == (SIDE, SIDE)
    assert prediction.answer.as_dict()["shares"] == pytest.approx({"Other": 0.5, "Tumor": 0.5})
    assert list(prediction.maps) == ["probability of Other", "probability of Tumor"]
    tumor = prediction.grid.raster(prediction.maps["probability of Tumor"], "").values
    assert (tumor[:, :3] < 0.5).all()
    assert (tumor[:, 3:6] > 0.5).all()
    assert prediction.evidence.values.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_probabilities_are_those_of_the_published_transform(striped: Path, two_classes: Path) -> None:
    prediction = predicted(striped, two_classes)
    red = {0: 90, 5: 210}
    for column, grey in red.items():
        x = 5 * (grey / 255 - 0.7) / 0.2
        inner = np.flatnonzero((prediction.grid.cells == (1, column)).all(axis=1))
        assert prediction.evidence.values[inner, 1] == pytest.approx(1 / (1 + np.exp(-2 * x)), abs=0.01)


def test_a_model_of_one_class_tells_tiles_apart(striped: Path, tmp_path: Path) -> None:
    folder = write_wsinfer(tmp_path / "paad", [5.0], num_classes=1, class_names=["Tumor"])
    prediction = predicted(striped, folder)
    assert prediction.answer.headline == "Tumor"
    assert prediction.answer.certainty == "50 % of the tiles"
    values = prediction.evidence.values[:, 0]
    assert values.min() < 0.1 < 0.5 < values.max() < 1  # by softmax over one class it would be 1 everywhere


def test_nothing_is_claimed_of_the_slides_that_it_learned_from(striped: Path, two_classes: Path) -> None:
    reference = predicted(striped, two_classes).reference
    assert reference.supported and not reference.known
    assert "was not checked" in str(reference)


def test_its_table_has_the_columns_of_wsinfer(striped: Path, two_classes: Path, tmp_path: Path, shared_data) -> None:
    arguments = ["predict", str(striped), "-o", str(tmp_path), "--model", str(two_classes), "--mpp", "0.25"]
    assert main([*arguments, "--min-coverage", "0", "--also", "tiles-geojson"]) == 0
    with (shared_data / "wsinfer/breast-tumor-resnet34.tcga-brca.csv").open() as file:
        theirs = next(csv.reader(file))
    ours = pd.read_csv(tmp_path / "striped.csv")
    assert list(ours.columns) == theirs
    assert ours[["minx", "miny"]].min().tolist() == [0, 0]
    assert set(ours["width"]) == {SIDE}
    assert ours.dtypes[["minx", "miny", "width", "height"]].map(lambda kind: kind.kind).eq("i").all()
    assert sorted(path.name.partition(".")[2] for path in tmp_path.iterdir()) == [
        "csv", "html", "json", "ome.tif", "tiles.geojson"
    ]  # fmt: skip
    answer = json.loads((tmp_path / "striped.json").read_text())
    assert answer["answer"]["type"] == "tile classification"
    assert answer["reference_check"]["limit"] is None
    features = json.loads((tmp_path / "striped.tiles.geojson").read_text())["features"]
    assert len(features) == len(ours)
    assert features[0]["properties"]["objectType"] == "tile" and features[0]["properties"]["isLocked"]
    assert set(features[0]["properties"]["measurements"]) == {"prob_Other", "prob_Tumor"}
    assert tifffile.imread(tmp_path / "striped.ome.tif").shape[0] == 2
    assert "robability of" in (tmp_path / "striped.html").read_text()


@pytest.mark.parametrize(
    "name",
    ["breast-tumor-resnet34.tcga-brca", "prostate-tumor-resnet34.tcga-prad", "pancancer-lymphocytes-inceptionv4.tcga"],
)
def test_the_columns_are_those_of_real_results_of_wsinfer(
    name: str, striped: Path, tmp_path: Path, shared_data
) -> None:
    theirs = pd.read_csv(shared_data / f"wsinfer/{name}.csv")
    classes = [column.removeprefix("prob_") for column in theirs if column.startswith("prob_")]
    slopes = [float(i) for i in range(len(classes))]
    folder = write_wsinfer(tmp_path / name, slopes, num_classes=len(classes), class_names=classes)
    ours = wsinfer_table(predicted(striped, folder))
    assert list(ours.columns) == list(theirs.columns)
    kinds = [table.dtypes.map(lambda kind: kind.kind).tolist() for table in (ours, theirs)]
    assert kinds[0] == kinds[1]


def test_each_map_is_a_layer_and_only_the_first_is_shown(striped: Path, two_classes: Path) -> None:
    prediction = predicted(striped, two_classes)
    made = [layers.map_layer(prediction, what, "run", None) for what in prediction.maps]
    assert [options["visible"] for _, options, _ in made] == [True, False]
    assert [options["metadata"]["pathlupi"]["kind"] for _, options, _ in made] == list(prediction.maps)
    assert all(kind == "image" and values.shape == prediction.grid.raster_shape for values, _, kind in made)


def test_batches_do_not_change_it(striped: Path, two_classes: Path) -> None:
    first, second = (predicted(striped, two_classes, size).evidence.values for size in (1, 24))
    assert np.allclose(first, second, atol=1e-5)


def test_a_packaged_name_and_a_folder_of_ours_are_still_found(small_bundle: Bundle, tmp_path: Path) -> None:
    assert load_model("demo").card.name == "demo"
    assert load_model(small_bundle.folder).digest == small_bundle.digest
    with pytest.raises(BundleError, match="there is no model"):
        load_model(tmp_path / "absent")


def test_shares_count_every_tile_once() -> None:
    values = np.random.default_rng(0).dirichlet((1, 1, 1), 50).astype(np.float32)
    answer = TileShares.of("abc", values, ("#000000",) * 3)
    assert sum(answer.shares) == pytest.approx(1)
    assert answer.means == pytest.approx(values.mean(axis=0), abs=1e-6)
    assert answer.rows()[0].label == answer.headline

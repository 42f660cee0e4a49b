"""Predictions from features that are there already."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import FeaturesError, MismatchError, SlideError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.slides import Slide
from napari_pathlupi.store import FeatureStore, SlideFacts
from napari_pathlupi.workflows.embedding.embed import embed
from napari_pathlupi.workflows.embedding.tile import tile
from napari_pathlupi.workflows.prediction.features import (
    NO_SLIDE,
    features_of,
    frame_of,
    predict_bag,
    save_bag,
    save_store,
)
from napari_pathlupi.workflows.prediction.predict import predict
from napari_pathlupi.workflows.save import save_prediction
from napari_pathlupi.workflows.training.train import TrainConfig, TrainingCases, train
from quick_model import ABOUT, TASK, save_model


def model_of(identity: EncoderIdentity, folder: Path) -> Bundle:
    rng = np.random.default_rng(3)
    bags = [rng.normal(size=(9, identity.dim)).astype(np.float32) for _ in range(12)]
    cases = TrainingCases(bags, identity, TASK, np.arange(12.0)[:, None] % 2)
    return save_model(folder, train(cases, TrainConfig(objective="", steps=3)), ABOUT, bags[0])


def test_features_say_what_the_slide_says_and_no_pixel_is_read(
    tissue_slide, small_bundle, tmp_path, monkeypatch
) -> None:
    bag = embed(tissue_slide, tile(tissue_slide, 256, 0.5), "stain-texture")
    file = save_bag(bag, tmp_path / "case.h5", "trident")
    from_pixels = predict(tissue_slide, small_bundle)

    def must_not_read(*_: object) -> None:
        raise SlideError("a pixel was read")

    for name in ("read_level", "read_scaled", "overview"):
        monkeypatch.setattr(tissue_slide, name, must_not_read)
    from_features = predict_bag(features_of(file, tissue_slide), small_bundle, tissue_slide.path.name)
    assert from_features.answer.probabilities == pytest.approx(from_pixels.answer.probabilities, abs=1e-6)
    np.testing.assert_allclose(from_features.attention, from_pixels.attention, atol=1e-7)
    np.testing.assert_array_equal(from_features.grid.cells, from_pixels.grid.cells)
    provenance = from_features.provenance
    assert (provenance.slide_name, provenance.fingerprint) == (tissue_slide.path.name, tissue_slide.fingerprint)
    assert provenance.settings == {"features": "TRIDENT (case.h5)"}
    assert "no pixel was read" in provenance.device
    assert from_features.notes == ()


def test_real_features_of_another_tool_are_predicted_on_without_their_slide(shared_data, tmp_path) -> None:
    file = shared_data / "features/TCGA-AD-6964-01Z-00-DX1.h5"
    stated = Stated(encoder="conch-v1", tile_px0=512.0, unit="px", mpp=0.5)
    bundle = model_of(EncoderIdentity("conch-v1", "some weights", 512, 512, 0.5), tmp_path / "model")
    bag = features_of(file, stated=stated)
    prediction = predict_bag(bag, bundle, file.name)
    assert prediction.read.all()
    assert len(prediction.grid) == 777
    assert NO_SLIDE in prediction.notes
    assert any("does not say which weights" in note for note in prediction.notes)
    assert frame_of(bag).shape_px0 == (27648 + 512, 34304 + 512)
    files = {made.suffix: made for made in save_prediction(prediction, frame_of(bag), tmp_path)}
    table = np.genfromtxt(files[".csv"], delimiter=",", names=True)
    assert (20480, 16896) in {*zip(table["y_px0"], table["x_px0"], strict=True)}  # a tile that is there as a picture
    assert json.loads(files[".json"].read_text())["provenance"]["settings"]["features"].startswith("STAMP")


@pytest.mark.parametrize(
    "other",
    [{"name": "uni"}, {"version": "2"}, {"mpp": 1.0}, {"tile_px": 224}],
)
def test_features_of_another_encoder_or_scale_are_refused(tissue_slide: Slide, small_bundle: Bundle, other) -> None:
    bag = embed(tissue_slide, tile(tissue_slide, 256, 0.5), "stain-texture")
    with pytest.raises(MismatchError, match="was trained on stain-texture"):
        predict_bag(replace(bag, encoder=replace(bag.encoder, **other)), small_bundle)
    unstated = predict_bag(replace(bag, encoder=replace(bag.encoder, version="")), small_bundle)
    assert unstated.read.all()


def test_a_store_gives_the_features_of_a_slide_and_writes_all_of_them_for_others(tissue_slide, small_bundle, tmp_path):
    bag, place = embed(tissue_slide, tile(tissue_slide, 256, 0.5), "stain-texture"), tmp_path / "features.zarr"
    mpp = (tissue_slide.mpp.y, tissue_slide.mpp.x)
    for number, fingerprint in enumerate((tissue_slide.fingerprint, "e" * 32)):
        facts = SlideFacts(f"case-{number}.svs", fingerprint, mpp, "test")
        with FeatureStore(place).writer(facts, bag.grid, bag.encoder) as writer:
            writer.append(bag.features)
            writer.keep()
    again = features_of(place, tissue_slide)
    np.testing.assert_array_equal(again.features, bag.features)
    assert predict_bag(again, small_bundle).provenance.settings == {"features": "feature store (features.zarr)"}
    with pytest.raises(FeaturesError, match="2 of them fit: name one slide with --slide"):
        features_of(place)
    with pytest.raises(FeaturesError, match="0 of them fit"):
        features_of(place, tissue_slide, Stated(encoder="uni"))
    files = list(save_store(place, tmp_path / "out", "trident"))
    assert {file.name for file in files} == {"case-0.h5", "case-1.h5"}
    np.testing.assert_array_equal(features_of(tmp_path / "out/case-0.h5", tissue_slide).features, bag.features)
    with pytest.raises(FeaturesError, match="holds no features of uni"):
        list(save_store(place, tmp_path / "none", "trident", "uni"))

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.catalogue import objectives, patch_encoders
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import NotFoundError
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.presets import PRESETS, preset
from napari_pathlupi.workflows.training.train import TrainingCases, train


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds_a_model_for_the_hallmark_sets(name):
    config = preset(name).train
    json.dumps(asdict(config))
    objective = None
    if config.objective:
        settings, targets = dict(config.objective_settings), tuple(f"set {i}" for i in range(50))
        if objectives[config.objective].reads_genes:
            settings["sets"], targets = dict.fromkeys(targets, 2), tuple(f"gene {i}" for i in range(100))
        objective = ObjectivePart(name=config.objective, settings=settings, targets=targets)
    model = SlideModel(
        Recipe(
            patch_encoder=PatchEncoderPart(name="stain-texture", version="1", dim=8, tile_px=256, mpp=0.5),
            slide_encoder=CataloguePart(name=config.slide_encoder, settings=dict(config.settings)),
            task=CataloguePart(name="classification", settings={"classes": ["A", "B", "C"]}),
            objective=objective,
        )
    )
    assert model.head.out_features == 3
    assert len(model.gene_sets) == (50 if config.objective else 0)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_asks_for_the_tiles_of_its_patch_encoder(name):
    study = preset(name).study
    if study:
        encoder = patch_encoders[study["patch_encoder"]]
        assert (encoder.tile_px, encoder.mpp) == (study["tile_px"], study["mpp"])


def test_baselines_are_trained_as_long_as_the_anchored_model():
    anchored, baseline = preset("pathlupi-anchored").train, preset("abmil").train
    assert baseline.steps == anchored.steps + anchored.rna_steps


def test_a_name_that_is_none_is_met_with_the_nearest():
    with pytest.raises(NotFoundError, match="did you mean 'pathlupi-anchored'"):
        preset("pathlupi_anchord")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains_with_partly_paired_cases(name):
    rng = np.random.default_rng(0)
    config, genes = preset(name).train, 2 * 3
    settings, objective_settings = dict(config.settings), {}
    if config.slide_encoder == "pathlupi":
        settings |= {"projection": 8, "tokens": 3}
        objective_settings = {"sets": {"A": 2, "B": 2, "C": 2}}
    short = replace(
        config, settings=settings, objective_settings=objective_settings, rna_steps=1, steps=2, tiles=8, batch=8
    )
    targets, wanted = rng.normal(size=(12, genes)), np.arange(12.0)[:, None] % 2
    targets[:4], targets[5, 2], wanted[8:] = np.nan, np.nan, np.nan
    cases = TrainingCases(
        [rng.normal(size=(9, 8)).astype(np.float32) for _ in range(12)],
        EncoderIdentity("planted", "1", 8, 256, 0.5),
        CataloguePart(name="classification", settings={"classes": ["A", "B"]}),
        wanted,
        targets,
        tuple(f"gene {i}" for i in range(genes)),
    )
    assert np.isfinite(train(cases, short).infer(cases.bags[0]).outputs).all()

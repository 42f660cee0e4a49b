"""Several models as one."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe, load_bundle, save_bundle
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.errors import BundleError
from napari_pathlupi.workflows.prediction.ensemble import Ensemble, save_ensemble
from napari_pathlupi.workflows.prediction.model import SlideModel
from quick_model import ABOUT, save_model

DIM, TILES = 12, 9


def a_model(seed: int, objective: bool = True) -> SlideModel:
    torch.manual_seed(seed)
    recipe = Recipe(
        patch_encoder=PatchEncoderPart(name="stain-texture", version="1", dim=DIM, tile_px=256, mpp=0.5),
        slide_encoder=CataloguePart(name="abmil"),
        task=CataloguePart(name="classification", settings={"classes": ["A", "B", "C"]}),
        objective=ObjectivePart(name="reconstruction", targets=("HYPOXIA", "E2F")) if objective else None,
    )
    model = SlideModel(recipe).eval()
    model.feature_mean.fill_(seed)
    model.reference_limit = 30.0
    return model


@pytest.fixture
def ensemble() -> Ensemble:
    calibration = Calibration(cases=40, temperature=2.0, thresholds=(0.9,))
    return Ensemble((a_model(0), a_model(1), a_model(2, objective=False)), calibration, 30.0)


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(TILES, DIM)).astype(np.float32)


def test_outputs_are_averaged_and_evidence_stays_an_exact_share_of_them(ensemble, features):
    output, alone = ensemble.infer(features), [model.infer(features) for model in ensemble.models]
    np.testing.assert_allclose(output.outputs, np.mean([one.outputs for one in alone], axis=0), atol=1e-6)
    bias = np.mean([model.head.bias.detach().numpy() for model in ensemble.models], axis=0)
    np.testing.assert_allclose(output.evidence.sum(axis=0) + bias, output.outputs, atol=1e-5)
    assert output.attention.sum() == pytest.approx(1, abs=1e-5)
    assert output.activity == pytest.approx(
        {k: (alone[0].activity[k] + alone[1].activity[k]) / 2 for k in ("HYPOXIA", "E2F")}
    )


def test_the_answer_is_calibrated_and_says_how_far_the_folds_agree(ensemble, features):
    output = ensemble.infer(features)
    expected = torch.softmax(torch.from_numpy(output.outputs).double() / 2, dim=0)
    np.testing.assert_allclose(output.answer.probabilities, expected, atol=1e-6)
    assert len(output.answer.folds) == 3 and len(output.answer.plausible) >= 1


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_a_bundle_of_several_models_comes_back(ensemble, features, tmp_path, storage):
    bundle = save_ensemble(tmp_path / "three", ensemble, ABOUT, features, storage)
    assert (bundle.card.members, bundle.card.format) == (3, 2)
    again = Ensemble.from_bundle(bundle)
    assert again.calibration == ensemble.calibration
    assert [model.objective is None for model in again.models] == [False, False, True]
    tolerance = 2e-3 if storage == "float16" else 1e-6
    np.testing.assert_allclose(again.infer(features).outputs, ensemble.infer(features).outputs, atol=tolerance)


def test_a_number_too_large_for_half_precision_is_kept_whole(ensemble, features, tmp_path):
    with torch.no_grad():
        ensemble.models[1].head.weight[0, 0] = 1e6
    bundle = save_ensemble(tmp_path / "three", ensemble, ABOUT, features)
    assert bundle.tensors["1/head.weight"].dtype == np.float32
    assert bundle.tensors["0/head.weight"].dtype == np.float16


def test_a_bundle_of_the_first_format_is_still_read(features, tmp_path):
    bundle = save_model(tmp_path / "one", a_model(0), ABOUT, features)
    card = json.loads((bundle.folder / "card.json").read_text())
    for key in ("members", "calibration", "intended_use", "gene_sets"):
        del card[key]
    (bundle.folder / "card.json").write_text(json.dumps(card | {"format": 1}))
    output = Ensemble.from_bundle(load_bundle(bundle.folder)).infer(features)
    np.testing.assert_allclose(output.outputs, a_model(0).infer(features).outputs, atol=1e-6)
    assert output.answer.folds == ()


def test_parts_that_do_not_belong_together_are_one_sentence(ensemble, features, tmp_path):
    bundle = save_ensemble(tmp_path / "three", ensemble, ABOUT, features)
    fewer = bundle.card.model_copy(update={"members": 2})
    with pytest.raises(BundleError, match="has 2 folds, and weights called 2/"):
        Ensemble.from_bundle(replace(bundle, card=fewer))
    odd = bundle.card.model_copy(update={"calibration": {"cases": 3, "temperature": -1.0}})
    with pytest.raises(BundleError, match="calibration of the model"):
        Ensemble.from_bundle(replace(bundle, card=odd))
    wrong = save_bundle(
        tmp_path / "wrong", bundle.card, dict(bundle.tensors) | {"0/head.bias": np.ones(3)}, bundle.golden
    )
    with pytest.raises(BundleError, match="does not reproduce its own golden example"):
        Ensemble.from_bundle(wrong)

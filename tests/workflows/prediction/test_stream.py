"""A slide read in parts says the same as one read whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathlupi.bundle import CataloguePart, ObjectivePart, PatchEncoderPart, Recipe
from napari_pathlupi.catalogue import slide_encoders
from napari_pathlupi.core.gene_sets import OF_ACTIVITY
from napari_pathlupi.errors import InferenceError, MismatchError
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.prediction.stream import StreamConfig, infer_stream

DIM, TILES = 12, 101
IN_PARTS = [name for name in slide_encoders if slide_encoders[name].streams]
SETS = ("HYPOXIA", "E2F")


def a_model(encoder: str) -> SlideModel:
    torch.manual_seed(0)
    recipe = Recipe(
        patch_encoder=PatchEncoderPart(name="stain-texture", version="1", dim=DIM, tile_px=256, mpp=0.5),
        slide_encoder=CataloguePart(name=encoder, settings={"tokens": 2} if encoder == "pathlupi" else {}),
        task=CataloguePart(name="classification", settings={"classes": ["A", "B", "C"]}),
        objective=ObjectivePart(name="reconstruction", targets=SETS),
    )
    model = SlideModel(recipe).eval()
    model.feature_mean.copy_(torch.linspace(-1, 1, DIM))
    model.feature_scale.copy_(torch.linspace(0.5, 2, DIM))
    return model


@pytest.fixture
def bag(tmp_path: Path) -> np.ndarray:
    """Memory-mapped half precision; the tiles looked at most come late."""
    path = tmp_path / "bag.npy"
    rows = np.random.default_rng(1).normal(size=(TILES, DIM)) * np.linspace(0.1, 3, TILES)[:, None]
    np.save(path, rows.astype(np.float16))
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("encoder", IN_PARTS)
def test_in_parts_and_whole_are_the_same(encoder, batch, bag):
    model = a_model(encoder)
    whole = model.infer(bag.astype(np.float32))
    last = list(infer_stream(model, bag, StreamConfig(batch=batch)))[-1]
    assert not last.provisional
    np.testing.assert_allclose(last.outputs, whole.outputs, atol=1e-6)
    assert last.activity == pytest.approx(whole.activity, abs=1e-6)
    assert last.reference.distance == pytest.approx(whole.reference.distance, abs=1e-4)
    assert (last.attention is None) == (whole.attention is None)
    if last.attention is not None:
        np.testing.assert_allclose(last.attention, whole.attention, atol=1e-6)
    if last.evidence is not None:
        np.testing.assert_allclose(last.evidence, whole.evidence, atol=1e-6)


@pytest.mark.parametrize("encoder", [name for name in IN_PARTS if name != "pathlupi"])
def test_in_one_pass_every_answer_is_exact_for_the_tiles_so_far(encoder, bag):
    model = a_model(encoder)
    said = list(infer_stream(model, bag, StreamConfig(batch=25)))
    assert [part.read for part in said] == [25, 50, 75, 100, 101, 101]
    assert [part.provisional for part in said] == [True] * 5 + [False]
    for part in said[:3]:
        np.testing.assert_allclose(part.outputs, model.infer(bag[: part.read].astype(np.float32)).outputs, atol=1e-6)


def test_in_several_passes_answers_are_made_now_and_then_and_are_exact_too(bag):
    model = a_model("pathlupi")
    said = list(infer_stream(model, bag, StreamConfig(batch=10, seconds=0)))
    assert [part.read for part in said] == [10, 20, 40, 80, 101]
    for part in said[:-1]:
        assert part.provisional
        np.testing.assert_allclose(part.outputs, model.infer(bag[: part.read].astype(np.float32)).outputs, atol=1e-6)
    assert len(list(infer_stream(model, bag, StreamConfig(batch=10, seconds=1000)))) == 1


def test_the_maps_of_gene_sets_are_given_or_written_as_they_come(bag, tmp_path):
    model = a_model("pathlupi")
    features = model.standardise(torch.tensor(np.asarray(bag, np.float32)))[None]
    heads = model.slide_encoder(features, torch.ones(1, TILES, dtype=torch.bool)).heads[0].detach().numpy()
    path = tmp_path / "maps.npy"
    last = list(infer_stream(model, bag, StreamConfig(batch=30, maps=("E2F",), maps_to=str(path))))[-1]
    assert list(last.maps) == ["E2F"]
    np.testing.assert_allclose(last.maps["E2F"], heads[1], atol=1e-6)
    np.testing.assert_allclose(np.load(path), heads, atol=1e-6)


@pytest.mark.parametrize("encoder", ["mean", "max", "abmil", "clam-mb", "threads"])
def test_the_map_of_a_gene_set_with_a_linear_head_adds_up_to_its_activity(encoder, bag):
    model = a_model(encoder)
    last = list(infer_stream(model, bag, StreamConfig(batch=30, maps=("E2F",))))[-1]
    assert last.maps_method == OF_ACTIVITY
    bias = model.objective.heads.bias[1].item()
    assert last.maps["E2F"].sum() + bias == pytest.approx(last.activity["E2F"], abs=1e-5)
    assert last.evidence.shape == (TILES, 3)


@pytest.mark.parametrize("encoder", ["abmil", "mean", "pathlupi"])
def test_an_ensemble_in_parts_says_what_it_says_of_the_whole(encoder, bag):
    models = a_model(encoder), a_model(encoder)
    with torch.no_grad():
        models[1].head.weight.add_(1)
        models[1].feature_mean.add_(1)
    models[0].objective = None  # as where inner validation chose the weight 0
    ensemble = Ensemble(models, reference_limit=30.0)
    whole, said = (
        ensemble.infer(bag.astype(np.float32)),
        list(infer_stream(ensemble, bag, StreamConfig(batch=60, maps=("E2F",)))),
    )
    assert [part.provisional for part in said] == ([False] if encoder == "pathlupi" else [True, True, False])
    np.testing.assert_allclose(said[-1].outputs, whole.outputs, rtol=1e-6, atol=1e-6)
    assert said[-1].activity == pytest.approx(whole.activity, abs=1e-6)
    assert said[-1].maps["E2F"].shape == (TILES,)
    assert said[-1].reference.supported == whole.reference.supported
    assert (said[-1].attention is None) == (whole.attention is None)
    if whole.attention is not None:
        np.testing.assert_allclose(said[-1].attention, whole.attention, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "rows", "config", "words"),
    [
        ("transmil", np.zeros((3, DIM)), StreamConfig(), "must see all tiles of a slide at once"),
        ("abmil", np.zeros((3, DIM + 1)), StreamConfig(), r"got an array of shape \(3, 13\)"),
        ("abmil", np.zeros((3, DIM)), StreamConfig(maps=("MYC",)), "no map of MYC: known are HYPOXIA, E2F"),
        ("abmil", np.zeros((3, DIM)), StreamConfig(maps_to="maps.npy"), "ask for some by their names"),
        ("pathlupi", np.zeros((3, DIM)), StreamConfig(maps=("MYC",)), "no map of MYC: known are HYPOXIA, E2F"),
    ],
)
def test_what_cannot_be_read_in_parts_is_refused_in_a_sentence(encoder, rows, config, words):
    with pytest.raises(MismatchError, match=words):
        list(infer_stream(a_model(encoder), rows, config))


def test_numbers_that_are_none_are_found_where_they_are():
    rows = np.zeros((30, DIM))
    rows[25, 3] = np.nan
    with pytest.raises(InferenceError, match="tiles from 20 on"):
        list(infer_stream(a_model("abmil"), rows, StreamConfig(batch=10)))
    with pytest.raises(InferenceError, match="0 tiles"):
        list(infer_stream(a_model("abmil"), rows[:0]))

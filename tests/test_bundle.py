import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_pathlupi.bundle import Bundle, Card, list_bundles, load_bundle, save_bundle
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import BundleError, OutputError

WEIGHTS = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "head.bias": np.float32([0.5])}
GOLDEN = {"features": np.ones((4, 3), np.float32)}


def a_card() -> Card:
    return Card(
        name="small",
        title="Small",
        description="For tests.",
        trained_on="nothing",
        limits="all",
        licence="BSD-3-Clause",
        gated=False,
        source="tests",
        created="2026-11-21",
        metrics={"accuracy": 0.5, "protocol": "none"},
        patch_encoder={"name": "stain-texture", "version": "1", "dim": 3, "tile_px": 256, "mpp": 0.5},
        slide_encoder={"name": "mean"},
        task={"name": "classification", "settings": {"classes": ["A", "B"]}},
        reference_limit=3.5,
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return save_bundle(tmp_path / "small", a_card(), WEIGHTS, GOLDEN)


def test_a_bundle_comes_back_as_it_was_saved(bundle):
    again = load_bundle(bundle.folder)
    assert again.card.model_copy(update={"digests": {}}) == a_card()
    assert again.digest == bundle.digest
    assert again.card.patch_encoder.identity == EncoderIdentity("stain-texture", "1", 3, 256, 0.5)
    for name, values in WEIGHTS.items():
        np.testing.assert_array_equal(again.tensors[name], values)
    np.testing.assert_array_equal(again.golden["features"], GOLDEN["features"])


def test_claims_of_fifty_gene_sets_are_few_bytes_a_line_each_and_a_card_without_them_loads(bundle, tmp_path):
    claims = {f"HALLMARK_{'X' * 23}_{i:02d}": (-0.46, -0.58, None if i % 2 else 0.31, 124) for i in range(50)}
    brackets = {"words": "[ 1, 2 ]\n[\n 3\n]", "list": [0.5, 1e-7, -2.0], "empty": [], "names": ["[", "1"]}
    card = a_card().model_copy(update={"claims": claims, "metrics": brackets})
    full = save_bundle(tmp_path / "full", card, WEIGHTS, GOLDEN)
    assert (full.card.claims, full.card.metrics) == (claims, brackets)
    text = (full.folder / "card.json").read_text()
    assert '_00": [-0.46, -0.58, 0.31, 124],\n' in text
    assert len(text) - len((bundle.folder / "card.json").read_text()) < 5000
    words = json.loads((bundle.folder / "card.json").read_text())
    del words["claims"]
    (bundle.folder / "card.json").write_text(json.dumps(words))
    assert load_bundle(bundle.folder).card.claims == {}


def test_the_digest_tells_models_apart(bundle, tmp_path):
    other = save_bundle(tmp_path / "other", a_card(), WEIGHTS | {"head.bias": np.float32([0.6])}, GOLDEN)
    same = save_bundle(tmp_path / "same", a_card(), WEIGHTS, GOLDEN)
    assert other.digest != bundle.digest == same.digest


def test_nothing_but_the_bundle_is_left_behind(bundle, tmp_path):
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert sorted(path.name for path in bundle.folder.iterdir()) == [
        "card.json",
        "golden.safetensors",
        "weights.safetensors",
    ]


def test_a_folder_that_exists_is_never_overwritten_unasked(bundle, tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        save_bundle(bundle.folder, a_card(), WEIGHTS, GOLDEN)
    stranger = tmp_path / "photos"
    stranger.mkdir()
    with pytest.raises(OutputError, match="exists already"):
        save_bundle(stranger, a_card(), WEIGHTS, GOLDEN, replace=True)
    replaced = save_bundle(bundle.folder, a_card(), {"x": np.zeros(1, np.float32)}, GOLDEN, replace=True)
    assert list(replaced.tensors) == ["x"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "small"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the model"):
        save_bundle(tmp_path / "file" / "small", a_card(), WEIGHTS, GOLDEN)


@pytest.mark.parametrize("name", ["weights.safetensors", "golden.safetensors"])
def test_an_altered_file_is_named_and_not_used(bundle, name):
    file = bundle.folder / name
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError, match=rf"{name} .*wrong SHA-256"):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "golden.safetensors"])
def test_a_missing_file_is_named(bundle, name):
    (bundle.folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(bundle.folder)


def test_a_file_that_is_no_safetensors_is_never_opened_otherwise(tmp_path, bundle):
    import hashlib
    import pickle

    file = bundle.folder / "weights.safetensors"
    file.write_bytes(pickle.dumps({"head.weight": 1}))
    edit_card(bundle, digests=bundle.card.digests | {file.name: hashlib.sha256(file.read_bytes()).hexdigest()})
    with pytest.raises(BundleError, match="is not a safetensors file"):
        load_bundle(bundle.folder)


def edit_card(bundle: Bundle, **changes) -> None:
    card = bundle.folder / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, "format 3, this version reads up to 2"),
        ({"format": "1"}, "'format'"),
        ({"members": 0}, "'members'"),
        ({"surprise": 1}, "'surprise'"),
        ({"reference_limit": -1}, "'reference_limit'"),
        ({"patch_encoder": {"name": "x"}}, r"'patch_encoder\.version'"),
        ({"digests": {}}, r"weights\.safetensors .*wrong SHA-256"),
    ],
)
def test_a_wrong_card_is_one_sentence_that_says_where(bundle, changes, words):
    edit_card(bundle, **changes)
    with pytest.raises(BundleError, match=words):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[]", b"3"])
def test_a_card_that_is_no_card_is_one_sentence(bundle, text):
    (bundle.folder / "card.json").write_bytes(text)
    with pytest.raises(BundleError, match="the card of the model small"):
        load_bundle(bundle.folder)


def test_a_folder_without_a_card_and_no_folder_are_told_apart(tmp_path):
    with pytest.raises(BundleError, match="is not a model"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match="there is no model"):
        load_bundle(tmp_path / "none")


def test_the_folder_of_a_run_is_answered_with_its_model(bundle, tmp_path):
    shutil.copytree(bundle.folder, tmp_path / "run" / "model")
    with pytest.raises(BundleError, match=r"its model is .*run.model"):
        load_bundle(tmp_path / "run")


def test_a_name_means_the_packaged_model_and_a_near_miss_is_suggested(bundle, tmp_path, monkeypatch):
    shutil.copytree(bundle.folder, tmp_path / "packaged" / "demo")
    monkeypatch.setattr("napari_pathlupi.bundle._packaged", lambda: tmp_path / "packaged")
    assert list_bundles() == ["demo"]
    assert load_bundle("demo").digest == bundle.digest
    with pytest.raises(BundleError, match="did you mean 'demo'"):
        load_bundle("dem")


def test_every_packaged_model_can_be_loaded():
    for name in list_bundles():
        assert load_bundle(name).card.name == name

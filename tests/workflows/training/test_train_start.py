"""Training that begins from weights, and the published fine-tuning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.errors import MismatchError, SettingsError, WeightsError
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.finetune import fine_tuned
from napari_pathlupi.workflows.training.presets import preset
from napari_pathlupi.workflows.training.study_config import ExpressionPart, StudyConfig, TaskPart
from napari_pathlupi.workflows.training.train import TrainingCases, _rate, recipe_of, train
from napari_pathlupi.workflows.training.train_batches import Schedule
from napari_pathlupi.workflows.training.train_start import begin_from

DIM, CASES = 6, 10
RNG = np.random.default_rng(0)
SMALL = replace(preset("threads-finetune").train, settings={"width": 8, "heads": 2}, tiles=5)
NOT_AT_ALL = replace(SMALL, epochs=0, steps=0)


def _cases() -> TrainingCases:
    return TrainingCases(
        [RNG.normal(3, 2, size=(7, DIM)).astype(np.float32) for _ in range(CASES)],
        EncoderIdentity("planted", "1", DIM, 256, 0.5),
        CataloguePart(name="classification", settings={"classes": ["A", "B"]}),
        np.arange(CASES, dtype=float)[:, None] % 2,
    )


@pytest.fixture
def pretrained(tmp_path: Path) -> Path:
    torch.manual_seed(7)
    model = SlideModel(recipe_of(_cases(), SMALL))
    parts = {f"slide_encoder.{name}": tensor for name, tensor in model.slide_encoder.state_dict().items()}
    save_file(
        {**parts, "feature_mean": torch.arange(6.0), "feature_scale": torch.full((6,), 2.0)}, tmp_path / "w.safetensors"
    )
    return tmp_path / "w.safetensors"


def _saved(tensors: dict[str, torch.Tensor], place: Path) -> Path:
    save_file(tensors, place)
    return place


def test_a_training_begins_from_the_encoder_of_a_file_with_its_standardising_and_a_new_head(pretrained: Path) -> None:
    torch.manual_seed(7)
    expected = SlideModel(recipe_of(_cases(), SMALL)).slide_encoder.state_dict()
    begun = train(_cases(), replace(NOT_AT_ALL, start=str(pretrained)))
    for name, tensor in begun.slide_encoder.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert begun.feature_mean.tolist() == list(range(6))
    assert begun.feature_scale.tolist() == [2.0] * 6
    anew = train(_cases(), NOT_AT_ALL)
    assert torch.equal(begun.head.weight, anew.head.weight)
    moved = train(_cases(), replace(SMALL, start=str(pretrained), learning_rate=1e-3))
    assert not torch.equal(moved.slide_encoder.state_dict()["after.weight"], expected["after.weight"])


def test_a_file_without_moments_means_tiles_as_they_are(pretrained: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    bare = {name: tensor for name, tensor in load_file(pretrained).items() if name.startswith("slide_encoder.")}
    begun = train(_cases(), replace(NOT_AT_ALL, start=str(_saved(bare, tmp_path / "bare.safetensors"))))
    assert (begun.feature_mean == 0).all() and (begun.feature_scale == 1).all()


def test_other_weights_are_refused_with_the_first_misfit(pretrained: Path, tmp_path: Path) -> None:
    other = SlideModel(recipe_of(_cases(), replace(SMALL, settings={"width": 16, "heads": 2})))
    with pytest.raises(MismatchError, match=r"holds another slide encoder: after.bias is \(8,\) there and \(16,\)"):
        begin_from(other, pretrained)
    model = SlideModel(recipe_of(_cases(), SMALL))
    cases = [
        (_saved({"0/slide_encoder.x": torch.zeros(2)}, tmp_path / "e.safetensors"), "an ensemble of several models"),
        (_saved({"encoder.x": torch.zeros(2)}, tmp_path / "o.safetensors"), "no tensors called slide_encoder"),
        (tmp_path / "absent.safetensors", "there is no .*absent"),
    ]
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 40)
    for place, words in [*cases, (tmp_path / "broken.safetensors", "cannot be read as safetensors")]:
        with pytest.raises(WeightsError, match=words):
            begin_from(model, place)


def test_tiles_of_another_patch_encoder_than_the_card_names_are_refused(pretrained: Path) -> None:
    part = {"name": "planted", "version": "1", "dim": DIM, "tile_px": 256, "mpp": 0.5}
    card = {"slide_encoder": {"name": "threads", "settings": SMALL.settings}, "patch_encoder": part, "title": "any"}
    (pretrained.parent / "card.json").write_text(json.dumps(card))
    train(_cases(), replace(NOT_AT_ALL, start=str(pretrained)))
    (pretrained.parent / "card.json").write_text(json.dumps({**card, "patch_encoder": {**part, "mpp": 0.25}}))
    with pytest.raises(
        MismatchError, match=r"was trained on planted \(1\) on 256 px at 0\.25 µm/px, these features are"
    ):
        train(_cases(), replace(NOT_AT_ALL, start=str(pretrained)))


def test_epochs_count_every_case_and_the_rate_rises_then_falls_as_a_half_cosine() -> None:
    schedule = Schedule(_cases(), np.zeros(CASES, dtype=bool), SMALL)
    assert schedule.total == 5 * CASES
    assert replace(SMALL, batch=4).steps_for(10) == 13
    assert replace(SMALL, epochs=0, steps=9).steps_for(10) == 9
    rates = [_rate(progress, 0.2) for progress in (0.1, 0.2, 0.6, 1.0)]
    np.testing.assert_allclose(rates, [0.5, 1.0, 0.5, 0.0], atol=1e-12)
    with pytest.raises(SettingsError, match="warm_up is 1"):
        replace(SMALL, warm_up=1.0)


def test_fine_tuning_is_adamw_on_one_weighted_case_a_step_as_written_out_by_hand() -> None:
    labels = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 1])
    task = CataloguePart(name="classification", settings={"classes": ["A", "B"], "weights": "balanced"})
    cases = replace(_cases(), task=task, wanted=labels[:, None].astype(float))
    settings = {"width": 8, "heads": 2, "dropout": 0.0, "gate_dropout": 0.0}
    config = replace(preset("threads-finetune").train, settings=settings, learning_rate=1e-3)
    trained, model = train(cases, config), train(cases, replace(config, epochs=0, steps=0)).train()
    rng, parts = np.random.default_rng((config.seed, 1)), list(model.parameters())
    order = np.concatenate([rng.permutation(CASES) for _ in range(5)])
    means, squares = ([torch.zeros_like(part) for part in parts] for _ in range(2))
    for step, row in enumerate(order, start=1):
        progress = step / len(order)
        rate = progress / 0.2 if progress < 0.2 else 0.5 * (1 + np.cos(np.pi * (progress - 0.2) / 0.8))
        tiles = model.standardise(torch.from_numpy(cases.bags[row])[None])
        outputs = model.head(model.slide_encoder(tiles, torch.ones(1, 7, dtype=torch.bool)).embedding)[0]
        weight = CASES / 2 / (labels == labels[row]).sum()
        slopes = torch.autograd.grad(-weight * outputs.log_softmax(0)[labels[row]], parts, allow_unused=True)
        for part, slope, mean, square in zip(parts, slopes, means, squares, strict=True):
            if slope is not None:
                mean.mul_(0.9).add_(0.1 * slope)
                square.mul_(0.999).add_(0.001 * slope**2)
                away = (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
                part.data -= 1e-3 * rate * away
    for (name, found), expected in zip(trained.named_parameters(), parts, strict=True):
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-4, msg=name)


def test_the_preset_is_the_published_fine_tuning() -> None:
    config = preset("threads-finetune").train
    assert (config.learning_rate, config.weight_decay, config.epochs, config.batch) == (2.5e-5, 0.0, 5, 1)
    assert (config.tiles, config.warm_up, config.accumulate, config.patience) == (2048, 0.2, 1, 0)
    model = SlideModel(recipe_of(replace(_cases(), identity=EncoderIdentity("conch", "", 768, 512, 0.5)), config))
    assert model.slide_encoder.width == 1024
    assert 11.2e6 < sum(p.numel() for p in model.slide_encoder.parameters()) < 11.4e6


def test_a_study_is_fine_tuned_with_its_own_cohort_and_changes_and_the_encoder_of_the_card(pretrained: Path) -> None:
    study = StudyConfig(training={"epochs": 2}, expression=ExpressionPart(table="rna.csv"))
    tuned = fine_tuned(study)
    assert tuned.train.epochs == 2 and tuned.train.start == "" and tuned.train.learning_rate == 2.5e-5
    assert tuned.task.settings == {"weights": "balanced"} and tuned.weights == (0.0,)
    card = {"slide_encoder": {"name": "abmil", "settings": {"width": 32}}}
    (pretrained.parent / "card.json").write_text(json.dumps(card))
    from_card = fine_tuned(study, str(pretrained)).train
    assert (from_card.slide_encoder, from_card.settings) == ("abmil", {"width": 32})
    anchored = replace(
        study, training={"slide_encoder": "pathlupi", "settings": {"projection": 64, "width": 8, "dropout": 0.3}}
    )
    beside = fine_tuned(anchored, str(pretrained)).train  # the study's model is not used
    assert (beside.slide_encoder, beside.settings) == ("abmil", {"width": 32, "dropout": 0.3})
    survival = fine_tuned(replace(study, task=TaskPart(name="survival", columns=("OS_days",), event="OS_event")))
    assert survival.task.settings == {}
    (pretrained.parent / "card.json").write_text("{}")
    with pytest.raises(WeightsError, match="does not say what slide encoder it is of"):
        fine_tuned(study, str(pretrained))


def test_the_baseline_is_the_published_abmil() -> None:
    config = preset("threads-abmil").train
    assert (config.learning_rate, config.weight_decay, config.epochs, config.tiles) == (3e-4, 1e-5, 20, 2048)
    model = SlideModel(recipe_of(replace(_cases(), identity=EncoderIdentity("conch", "", 768, 512, 0.5)), config))
    counted = sum(p.numel() for p in model.slide_encoder.parameters())
    assert counted == 2 * (768 * 768 + 768) + (768 * 512 + 512) + 512

"""Training on bags with a planted truth: one odd tile decides the label."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, InferenceError, MismatchError, OutputError, SettingsError
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.bags import Bags, Shelf
from napari_pathlupi.workflows.training.train import (
    HeldOut,
    TrainConfig,
    TrainingCases,
    Watch,
    train,
    train_steps,
    watched_steps,
)
from napari_pathlupi.workflows.training.validation import outputs_of

DIM, TILES, SETS = 8, 30, 12
IDENTITY = EncoderIdentity("planted", "1", DIM, 256, 0.5)
TASK = CataloguePart(name="classification", settings={"classes": ["A", "B"]})
SHORT = TrainConfig(rna_steps=60, steps=180, learning_rate=1e-2)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are only slowed by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def planted(count: int, seed: int) -> TrainingCases:
    """Tile 0 is odd (feature 0) and holds the label (feature 1) and what RNA says (features 1 to 4).

    All other tiles hold numbers of the same size there that mean nothing, so that the mean of a bag is no help.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    bags = rng.normal(size=(count, TILES, DIM)).astype(np.float32)
    bags[:, :, 1:5] *= 3
    hidden = rng.normal(size=(count, 4)) + np.array([3.0, 0, 0, 0]) * (2 * labels[:, None] - 1)
    bags[:, 0, 0] += 4
    bags[:, 0, 1:5] = hidden
    mixing = np.random.default_rng(0).normal(size=(4, SETS))
    targets = hidden @ mixing + 0.3 * rng.normal(size=(count, SETS))
    targets /= targets.std(axis=0)
    wanted = labels[:, None].astype(float)
    return TrainingCases(list(bags), IDENTITY, TASK, wanted, targets, tuple(f"set {i}" for i in range(SETS)))


TEST = planted(80, seed=99)


def accuracy(model: SlideModel) -> float:
    said = [int(model.infer(bag).outputs.argmax()) for bag in TEST.bags]
    return float(np.mean(said == TEST.wanted[:, 0]))


def attention_on_the_odd_tile(model: SlideModel) -> float:
    return float(np.mean([model.infer(bag).attention[0] for bag in TEST.bags]))


@pytest.mark.parametrize("encoder", ["clam-mb", "abmil"])
def test_attention_finds_the_tile_that_decides(encoder):
    model = train(planted(80, seed=1), replace(SHORT, slide_encoder=encoder))
    assert accuracy(model) > 0.9
    assert attention_on_the_odd_tile(model) > 5 / TILES


def test_the_mean_of_all_tiles_does_not():
    model = train(planted(80, seed=1), replace(SHORT, slide_encoder="mean"))
    assert accuracy(model) < 0.75


def test_expression_teaches_where_to_look_when_labels_are_few():
    cases = planted(60, seed=2)
    few = replace(cases, wanted=np.where(np.arange(60)[:, None] < 12, cases.wanted, np.nan))
    with_rna, without = train(few, SHORT), train(few, replace(SHORT, objective=""))
    assert attention_on_the_odd_tile(with_rna) > attention_on_the_odd_tile(without) + 0.1
    assert accuracy(with_rna) >= accuracy(without)


def test_the_activity_that_a_slide_claims_follows_its_expression():
    model = train(planted(80, seed=1), SHORT)
    claimed = np.array([list(model.infer(bag).activity.values()) for bag in TEST.bags])
    together = [np.corrcoef(claimed[:, i], TEST.targets[:, i])[0, 1] for i in range(SETS)]
    assert np.mean(together) > 0.6


def test_cases_without_expression_still_teach_their_label():
    cases = planted(80, seed=1)
    targets = cases.targets.copy()
    targets[::2] = np.nan
    assert accuracy(train(replace(cases, targets=targets), SHORT)) > 0.85


def test_without_transcriptomes_there_is_no_objective():
    cases = replace(planted(20, seed=1), targets=None, gene_sets=())
    assert train(cases, replace(SHORT, steps=3)).recipe.objective is None


BRIEF = TrainConfig(rna_steps=3, steps=5)


def weights(model: SlideModel) -> np.ndarray:
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in model.state_dict().values()])


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    cases = planted(20, seed=1)
    first, again, other = (train(cases, replace(BRIEF, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(weights(first), weights(again))
    assert not np.array_equal(weights(first), weights(other))


def test_a_case_with_neither_label_nor_expression_teaches_nothing():
    cases = planted(20, seed=1)
    wanted, targets = cases.wanted.copy(), cases.targets.copy()
    wanted[3], targets[3] = np.nan, np.nan
    silent = replace(cases, wanted=wanted, targets=targets)
    bags = list(cases.bags)
    bags[3] = bags[3][::-1].copy()  # another bag with the same mean and spread
    np.testing.assert_allclose(
        weights(train(silent, BRIEF)), weights(train(replace(silent, bags=bags), BRIEF)), atol=1e-6
    )


def test_bags_of_any_size_and_constant_features_train():
    cases = planted(20, seed=1)
    bags = [bag[: 1 + i] for i, bag in enumerate(cases.bags)]
    for bag in bags:
        bag[:, 7] = 5.0
    model = train(replace(cases, bags=bags), replace(BRIEF, tiles=4))
    assert np.isfinite(model.infer(bags[0]).outputs).all()


def test_every_step_is_told_and_the_last_is_the_whole():
    told = list(train_steps(planted(20, seed=1), BRIEF))
    assert [(step.done, step.total) for step in told] == [(i, 8) for i in range(1, 9)]
    assert told[-1].message.startswith("loss ")


def test_a_cancelled_training_leaves_no_model():
    cancel = CancelFlag()
    steps = train_steps(planted(20, seed=1), BRIEF, cancel)
    next(steps)
    cancel.set()
    with pytest.raises(Cancelled, match="stopped at step 1 of 8"):
        next(steps)


def test_a_diverging_training_is_one_sentence():
    with pytest.raises(InferenceError, match="lower learning rate"):
        train(planted(20, seed=1), replace(BRIEF, learning_rate=1e30))


def test_a_missing_device_is_one_sentence():
    with pytest.raises(InferenceError, match="the network failed on meta-physical"):
        train(planted(20, seed=1), replace(BRIEF, device="meta-physical"))


def test_the_training_cases_are_like_themselves():
    cases = planted(40, seed=1)
    model = train(cases, BRIEF)
    assert np.mean([model.infer(bag).reference.supported for bag in TEST.bags]) > 0.9
    assert not model.infer(TEST.bags[0] + 20).reference.supported


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wanted": np.zeros((3, 1))}, "shape \\(3, 1\\)"),
        ({"wanted": np.full((20, 1), np.nan)}, "0 of them labelled"),
        ({"wanted": np.full((20, 1), 2.0)}, "index of its class"),
        ({"gene_sets": ("one",)}, "and 1 of targets"),
        ({"bags": [np.zeros((3, DIM + 1), np.float32)] * 20}, "bag 0 has the shape"),
        ({"bags": [np.zeros((0, DIM), np.float32)] * 20}, "bag 0 has the shape"),
        ({"bags": [np.full((2, DIM), np.nan, np.float32)] * 20}, "finite"),
    ],
)
def test_cases_that_do_not_fit_together_are_refused_in_a_sentence(change, words):
    with pytest.raises(MismatchError, match=words):
        replace(planted(20, seed=1), **change)


def test_too_few_cases_are_refused():
    with pytest.raises(MismatchError, match="at least 10 are needed"):
        planted(9, seed=1)


def stopped_at(step: int, cases: TrainingCases, config: TrainConfig, state: Path) -> None:
    """Train as far as a step, and drop everything but what is on disk, as a kill does."""
    for told in watched_steps(cases, config, Watch(state=state)):
        if told.done == step:
            return


@pytest.mark.parametrize("step", [1, 4, 5, 7])
def test_a_killed_training_goes_on_to_the_same_weights(step, tmp_path):
    cases = planted(20, seed=1)
    config = replace(BRIEF, tiles=9, save_every=2)
    unbroken = run(watched_steps(cases, config, Watch(HeldOut(cases.bags, cases.wanted))))
    stopped_at(step, cases, config, tmp_path / "state.pt")
    told = list(watched_steps(cases, config, Watch(state=tmp_path / "state.pt")))
    assert told[0].done == step - step % 2 + 1
    again = run(watched_steps(cases, config, Watch(state=tmp_path / "state.pt")))  # nothing is left to do
    np.testing.assert_array_equal(weights(again.model), weights(unbroken.model))
    assert [check[:2] for check in again.checks] == [check[:2] for check in unbroken.checks]


def test_the_state_of_another_training_is_refused_and_a_damaged_one_named(tmp_path):
    cases, state = planted(20, seed=1), tmp_path / "state.pt"
    stopped_at(3, cases, replace(BRIEF, save_every=1), state)
    for other in (replace(cases, wanted=1 - cases.wanted), planted(20, seed=2)):
        with pytest.raises(MismatchError, match="other settings or cases"):
            run(watched_steps(other, replace(BRIEF, save_every=1), Watch(state=state)))
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(OutputError, match=r"state\.pt is damaged"):
        run(watched_steps(cases, BRIEF, Watch(state=state)))


def test_a_step_in_parts_is_the_same_step():
    cases = planted(20, seed=1)
    wanted, targets = cases.wanted.copy(), cases.targets.copy()
    wanted[::3], targets[::4] = np.nan, np.nan
    cases = replace(cases, wanted=wanted, targets=targets)
    whole = replace(BRIEF, settings={"dropout": 0.0}, batch=12)
    np.testing.assert_allclose(
        weights(train(cases, replace(whole, accumulate=5))), weights(train(cases, whole)), atol=1e-5
    )


def test_slides_that_are_averaged_count_as_one_case_each():
    cases = planted(20, seed=1)
    owners = np.repeat(np.arange(10), 2)
    apart = replace(cases, wanted=cases.wanted[:10], targets=cases.targets[:10], owners=owners)
    model = train(apart, BRIEF)
    one = np.array([model.infer(bag).outputs for bag in cases.bags])
    np.testing.assert_allclose(outputs_of(model, cases.bags, owners), (one[::2] + one[1::2]) / 2, atol=1e-5)
    twins = replace(apart, bags=[cases.bags[i // 2] for i in range(20)])
    alone = replace(apart, bags=cases.bags[:10], owners=None)
    without_dropout = replace(BRIEF, settings={"dropout": 0.0})
    first, second = train(twins, without_dropout), train(alone, without_dropout)
    np.testing.assert_allclose(outputs_of(first, TEST.bags), outputs_of(second, TEST.bags), atol=1e-3)


def test_the_score_is_looked_at_at_equal_distances_and_patience_ends_what_does_not_improve():
    cases, told = planted(40, seed=1), []
    silent = HeldOut(cases.bags, 1 - cases.wanted)  # whatever is learned is wrong there
    config = replace(SHORT, rna_steps=20, steps=100, checks=20)
    trained = run(watched_steps(cases, config, Watch(silent, tell=told.append)))
    assert [check.step for check in trained.checks] == list(range(6, 121, 6))
    assert trained.score < 0.4
    assert len(told) == 20
    early = run(watched_steps(cases, replace(config, patience=3), Watch(silent)))
    assert early.checks[-1].step < 120


def test_bags_are_read_when_asked_for_and_forgotten_when_there_are_too_many(tmp_path):
    shelf, read = Shelf(most_bytes=5 * TILES * DIM * 4), []
    cases = planted(20, seed=1)

    def reader(i):
        return lambda: shelf.get(str(i), lambda: read.append(i) or cases.bags[i])

    lazy = Bags.of([reader(i) for i in range(20)], IDENTITY)
    assert read == list(range(20))
    model = train(replace(cases, bags=lazy), BRIEF)
    assert len(read) > 40
    np.testing.assert_array_equal(weights(model), weights(train(cases, BRIEF)))


def test_mixed_precision_is_refused_on_a_processor_in_a_sentence():
    with pytest.raises(SettingsError, match=r"bf16.* is for CUDA, the device is cpu"):
        replace(BRIEF, amp="bf16")
    with pytest.raises(SettingsError, match="choose bf16, fp16 or none"):
        replace(BRIEF, amp="int4")

"""Pre-training on cases with a planted truth: one odd tile tells what RNA and DNA tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, MismatchError, OutputError, SettingsError
from napari_pathlupi.workflows.pretraining.config import PretrainConfig
from napari_pathlupi.workflows.pretraining.contrast import SmoothRank, pair_loss
from napari_pathlupi.workflows.pretraining.pairs import PairedCases
from napari_pathlupi.workflows.pretraining.pretrain import PairedNetwork, pretrain_steps, rate_at
from napari_pathlupi.workflows.training.train import Watch
from quick_pretraining import IDENTITY, QUICK, STILL, gradients_of, gradients_of_two, planted


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Matrices this small are only slowed by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def info_nce_by_hand(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Every pair by itself, both ways."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second)]
    total = 0.0
    for a, b in (unit, unit[::-1]):
        for i in range(len(a)):
            alike = np.array([a[i] @ b[j] / temperature for j in range(len(b))])
            total += np.log(np.exp(alike).sum()) - alike[i]
    return total / (2 * len(first))


def test_the_loss_is_that_of_each_kind_by_its_number_of_pairs() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(9, 3, 5))
    paired = np.stack([np.arange(9) < 7, np.arange(9) > 3], axis=1)
    by_hand = [
        info_nce_by_hand(vectors[paired[:, kind], 0], vectors[paired[:, kind], 1 + kind], 0.2) for kind in (0, 1)
    ]
    loss = pair_loss(torch.from_numpy(vectors), torch.from_numpy(paired), 0.2)
    assert float(loss) == pytest.approx((7 * by_hand[0] + 5 * by_hand[1]) / 12, rel=1e-9)


@pytest.mark.parametrize("count", [4, 40])
def test_the_rank_is_that_of_all_embeddings_at_once(count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 10)) * np.arange(1, 11)
    rank = SmoothRank(10)
    for part in np.array_split(rows, 3):
        rank.add(torch.from_numpy(part))
    shares = np.linalg.svd(rows, compute_uv=False)
    shares = shares / shares.sum() + 1e-7
    assert rank.value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)


def test_two_processes_have_the_loss_and_gradients_of_one(tmp_path: Path) -> None:
    one, two = gradients_of(STILL), gradients_of_two(tmp_path, STILL)
    assert int(two.pop("processes")) == 2 and int(one.pop("processes")) == 1
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-5, rtol=1e-5, err_msg=name)


def test_a_step_in_parts_has_the_loss_and_gradients_of_the_whole() -> None:
    whole, parts = gradients_of(STILL), gradients_of(replace(STILL, accumulate=3))
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, atol=1e-5, rtol=1e-5, err_msg=name)


def weights(network: PairedNetwork) -> np.ndarray:
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in network.state_dict().values()])


@pytest.mark.parametrize("step", [1, 5])
def test_a_run_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path, step: int) -> None:
    cases, told, whole = planted(16), [], []
    unbroken = run(pretrain_steps(cases, QUICK, Watch(tell=whole.append)))
    steps = pretrain_steps(cases, QUICK, Watch(state=tmp_path / "state.pt"))
    for _ in range(step):
        next(steps)
    steps.close()
    resumed = run(pretrain_steps(cases, QUICK, Watch(state=tmp_path / "state.pt", tell=told.append)))
    np.testing.assert_array_equal(weights(resumed.network), weights(unbroken.network))
    assert resumed.checks == unbroken.checks and told == whole[-len(told) :]
    again = run(pretrain_steps(cases, QUICK, Watch(state=tmp_path / "state.pt")))  # nothing is left to do
    np.testing.assert_array_equal(weights(again.network), weights(unbroken.network))
    with pytest.raises(MismatchError, match="other settings or cases"):
        run(pretrain_steps(cases, replace(QUICK, seed=1), Watch(state=tmp_path / "state.pt")))
    (tmp_path / "best.pt").write_bytes(b"half")
    with pytest.raises(OutputError, match=r"best\.pt is absent or damaged"):
        run(pretrain_steps(cases, QUICK, Watch(state=tmp_path / "state.pt")))


def test_one_that_is_asked_to_stop_says_where() -> None:
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(Cancelled, match="stopped in epoch 1 of 3"):
        run(pretrain_steps(planted(16), QUICK, cancel=cancel))


def test_slides_and_molecules_of_held_back_cases_find_each_other() -> None:
    config = replace(QUICK, epochs=30, batch=32, learning_rate=1e-2, choose="last")
    trained = run(pretrain_steps(planted(96), config))
    assert trained.checks[-1].loss < 0.8 * trained.checks[0].loss
    held_back = planted(40, seed=9, without_rna=0, without_dna=0)
    with torch.no_grad():
        slides = torch.stack(
            [
                trained.network.slide_encoder(_tiles(trained.network, bag), _real(bag)).embedding[0]
                for bag in held_back.tiles
            ]
        )
        rna = trained.network.molecular["rna"](torch.from_numpy(held_back.molecules["rna"].values))
    alike = torch.nn.functional.normalize(slides) @ torch.nn.functional.normalize(rna).mT
    places = (alike > alike.diagonal()[:, None]).sum(dim=1)
    assert float(places.float().mean()) < 14  # of 40; chance is 19.5


def _tiles(network: PairedNetwork, bag: np.ndarray) -> torch.Tensor:
    return network.standardise(torch.from_numpy(bag))[None]


def _real(bag: np.ndarray) -> torch.Tensor:
    return torch.ones(1, len(bag), dtype=torch.bool)


def test_the_epoch_of_the_highest_rank_after_the_warm_up_is_taken() -> None:
    config = replace(QUICK, epochs=5, warm_up=2)
    by_rank, last = (run(pretrain_steps(planted(16), replace(config, choose=how))) for how in ("rank", "last"))
    ranks = [check.score for check in by_rank.checks]
    assert by_rank.epoch == 3 + int(np.argmax(ranks[2:])) and last.epoch == 5
    until = run(pretrain_steps(planted(16), replace(config, choose="last")))
    np.testing.assert_array_equal(weights(until.network), weights(last.network))


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    config = replace(QUICK, epochs=10, warm_up=2, learning_rate=1e-3, end_rate=1e-6)
    rates = [rate_at(step, 4, config) for step in range(40)]
    np.testing.assert_allclose(rates[:8], 1e-3 * np.arange(1, 9) / 8)
    assert rates[8] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-6)
    assert all(np.diff(rates[8:]) < 0)
    assert rates[24] == pytest.approx((1e-3 + 1e-6) / 2, rel=0.1)


def test_one_kind_of_measurement_is_enough() -> None:
    cases = planted(16, without_rna=0)
    only = replace(cases, molecules={"rna": cases.molecules["rna"]})
    assert set(run(pretrain_steps(only, replace(QUICK, epochs=1))).network.molecular) == {"rna"}


def _broken(kind: str) -> PairedCases:
    cases = planted(16)
    tiles = [bag.copy() for bag in cases.tiles]
    if kind == "nan":
        tiles[3][0, 0] = np.nan
    elif kind == "empty":
        tiles[3] = tiles[3][:0]
    elif kind == "long":
        tiles[3] = np.concatenate([tiles[3]] * 2, axis=1)
    return replace(cases, tiles=tiles)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nan", "tiles of 3 have"), ("empty", r"1 cases have no tile \(3"), ("long", "8 finite numbers")],
)
def test_bags_that_cannot_be_learned_from_are_named(kind: str, words: str) -> None:
    with pytest.raises(MismatchError, match=words):
        run(pretrain_steps(_broken(kind), QUICK))


def test_cases_without_a_pair_and_too_few_cases_are_refused() -> None:
    with pytest.raises(MismatchError, match="2 of 6 cases have neither RNA nor DNA"):
        planted(6, without_rna=4, without_dna=4)
    with pytest.raises(MismatchError, match="at least 2"):
        planted(1, without_rna=0, without_dna=0)
    with pytest.raises(MismatchError, match="one row of rna or dna"):
        PairedCases(planted(16).tiles, IDENTITY, {})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"amp": "bf16"}, "is for CUDA"),
        ({"batch": 1}, "batch is 1"),
        ({"temperature": 0.0}, "above 0"),
        ({"choose": "loss"}, "cannot be chosen by 'loss'"),
    ],
)
def test_settings_that_are_not_possible_are_one_sentence(wrong: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        PretrainConfig(**wrong)

"""The cells of the table: which encoder is pre-trained in a world, and what its embeddings tell of held-back cases."""

import hashlib
import inspect
import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from _privileged_world import IDENTITY, RealCohort, morphology_profile, read_real
from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.progress import run
from napari_pathlupi.evaluation.probe import fit_probe
from napari_pathlupi.evaluation.prompting import class_prompts, class_scores
from napari_pathlupi.evaluation.retrieval import retrieval_scores
from napari_pathlupi.molecular.dna import columns_of
from napari_pathlupi.simulation.bags import BagConfig, SimulatedBags, simulate_bags
from napari_pathlupi.slide_encoders import threads
from napari_pathlupi.workflows.pretraining import contrast
from napari_pathlupi.workflows.pretraining.config import PretrainConfig
from napari_pathlupi.workflows.pretraining.pairs import Molecules, PairedCases
from napari_pathlupi.workflows.pretraining.pretrain import (
    PairedNetwork,
    begun,
    chosen_epoch,
    loss_and_gradients,
    network_for,
    pretrain_steps,
    rate_at,
)

SEEDS = range(5)
FEW = 100
"""Labelled cases of the probe; labels are what is rare. A second one has those of all cases that were paired."""
PANEL = 40
"""Simulated genes with mutations and copy number."""
GENES = 1000
"""Those that vary most in the cases that are learned from."""
WITHOUT_RNA, WITHOUT_DNA = 0.2, 0.2
"""Shares of the cases that are learned from."""
TISSUE = BagConfig(
    carrying=0.08,
    lookalikes=0.08,
    programmes=32,
    case_noise=0.2,
    tile_noise=0.4,
    bend=1.2,
    trace=1.3,
    kinds=8,
    contrast=0.5,
    likeness=0.0,
    batch=0.3,
)
"""Plainer tiles than those of the privileged benchmark, from which contrastive learning of 570 pairs, where the paper
has 47,000, learns nothing."""
TRAINED = PretrainConfig(
    settings={"width": 64, "heads": 2, "dropout": 0.3},
    temperature=0.2,
    epochs=40,
    warm_up=5,
    batch=64,
    tiles=64,
    learning_rate=3e-3,
    weight_decay=0.1,
    choose="last",
)
"""Chosen, as the tissue was, in a world that the table does not use."""
RNA = CataloguePart(name="rna-mlp", settings={"hidden": 64, "dropout": 0.5})
DNA = CataloguePart(name="dna-mlp", settings={"hidden": 128, "dropout": 0.5})
ENCODERS = ("mean pooling", "random initialisation", "threads", "shuffled")
BY_RANK = "threads, epoch by rank"
"""The same with the epoch that the paper's rule takes, not the last."""
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """One encoder in one world."""

    seed: int
    name: str
    train: PretrainConfig = field(default=TRAINED)

    @property
    def digest(self) -> str:
        """Of all that decides its outcome: settings, the world, the code it is made with."""
        parts = (
            threads,
            contrast,
            PairedNetwork,
            begun,
            loss_and_gradients,
            rate_at,
            chosen_epoch,
            simulate_alterations,
        )
        sources = [inspect.getsource(part) for part in parts]
        told = [asdict(self), GENES, FEW, WITHOUT_RNA, WITHOUT_DNA, sources, _of_generator()]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]


@lru_cache
def _of_generator() -> str:
    """What names the bags: two of them, as they come out."""
    made = simulate_bags(np.array([[-1.0, 0.0, 1.0], [1.0, -1.0, 0.5]]), 99, TISSUE)
    return hashlib.sha256(b"".join(bag.round(4).tobytes() for bag in made.features)).hexdigest()


def plan(quick: bool) -> list[Cell]:
    """Return all cells, world by world; a quick one trains a sixth as long."""
    if quick:
        return [
            Cell(seed, name, replace(TRAINED, epochs=TRAINED.epochs // 6)) for seed in SEEDS[:2] for name in ENCODERS
        ]
    by_rank = replace(TRAINED, choose="rank")
    return [
        *(Cell(seed, name) for seed in SEEDS for name in ENCODERS),
        *(Cell(seed, BY_RANK, by_rank) for seed in SEEDS),
    ]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Real transcriptomes and labels, simulated bags and alterations, and who is held back."""

    real: RealCohort
    bags: SimulatedBags
    dna: npt.NDArray[np.float32]
    pool: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


@lru_cache(maxsize=1)
def make_world(folder: Path, seed: int) -> World:
    """Return a world; a third of the patients of each class is held back from pre-training and from the probe."""
    real = read_real("pam50", folder)
    profile = morphology_profile(real.expression, seed)
    random = np.random.default_rng([seed, 13])
    place = np.empty(len(real.labels))
    for label in np.unique(real.labels):
        members = random.permutation(np.flatnonzero(real.labels == label))
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
    order = np.argsort(place)
    trained = round(len(order) * (1 - real.held_back))
    bags = simulate_bags(profile, seed, TISSUE)
    return World(real, bags, simulate_alterations(profile, seed), order[:trained], np.sort(order[trained:]))


def simulate_alterations(profile: Numbers, seed: int) -> npt.NDArray[np.float32]:
    """(patients, PANEL × 7) mutations and copy number that follow the same programmes as the tissue.

    Each gene has two random mixtures of three columns of the profile: one is the copy number's level before it is cut
    to the five steps, with as much noise as signal, the other the log odds of a mutation, of which two thirds are small
    coding and the others large coding or non-coding.
    """
    random = np.random.default_rng([seed, 11])
    altered = np.zeros((len(profile), PANEL, 7), np.float32)
    for gene in range(PANEL):
        copies, mutated = (profile[:, random.choice(profile.shape[1], 3)] @ random.normal(size=3) for _ in range(2))
        level = copies / copies.std() + random.normal(size=len(profile))
        for kind, (low, high) in enumerate(((-np.inf, -2.6), (-2.6, -1.4), (1.4, 2.6), (2.6, np.inf))):
            altered[:, gene, kind] = (level > low) & (level <= high)
        odds = 1.5 * mutated / mutated.std() - random.uniform(1.5, 3.5)
        has = random.random(len(profile)) < 1 / (1 + np.exp(-odds))
        altered[np.arange(len(profile)), gene, random.choice([4, 4, 5, 6], len(profile))] = has
    return altered.reshape(len(profile), -1)


def paired_cases(world: World, seed: int, shuffled: bool) -> PairedCases:
    """Return the cases to pre-train on; shuffled, each has the RNA and DNA of another one."""
    random, pool = np.random.default_rng([seed, 12]), world.pool
    table = world.real.expression
    genes = table.iloc[pool].std().nlargest(GENES).index
    rna, dna = table[genes].to_numpy(np.float32)[pool], world.dna[pool].copy()
    rna[random.random(len(pool)) < WITHOUT_RNA] = np.nan
    has_rna = np.isfinite(rna).any(axis=1)
    dna[has_rna & (random.random(len(pool)) < WITHOUT_DNA / (1 - WITHOUT_RNA))] = np.nan
    if shuffled:
        circle = random.permutation(len(pool))
        others = np.empty_like(circle)
        others[circle] = np.roll(circle, 1)
        rna, dna = rna[others], dna[others]
    molecules = {
        "rna": Molecules(RNA, tuple(genes), rna),
        "dna": Molecules(DNA, tuple(columns_of([f"gene {i}" for i in range(PANEL)])), dna),
    }
    return PairedCases([world.bags.features[i] for i in pool], IDENTITY, molecules)


def run_cell(cell: Cell, folder: Path) -> dict[str, Any]:
    """Pre-train and test one encoder; returns what its line of JSON holds."""
    torch.set_num_threads(1)
    world, config = make_world(folder, cell.seed), replace(cell.train, seed=cell.seed)
    begun, wall = time.process_time(), time.monotonic()
    line: dict[str, Any] = {"seed": cell.seed, "name": cell.name, "digest": cell.digest}
    cases = paired_cases(world, cell.seed, cell.name == "shuffled")
    network = None
    if cell.name in ("threads", "shuffled", BY_RANK):
        done = run(pretrain_steps(cases, config))
        network = done.network
        line |= {"epoch": done.epoch, "losses": [round(check.loss, 3) for check in done.checks]}
        line |= {"ranks": [round(check.score, 2) for check in done.checks]}
    elif cell.name == "random initialisation":
        network = _untrained(cases, config)
    line |= {"pretrain_cpu_s": round(time.process_time() - begun, 1), "pretrain_s": round(time.monotonic() - wall, 1)}
    return line | told_by(network, world, cases)


def _untrained(cases: PairedCases, config: PretrainConfig) -> PairedNetwork:
    """The network as it is before its first step."""
    torch.manual_seed(config.seed)
    network = network_for(cases, config)
    mean, spread = cases.moments(config.seed)
    network.feature_mean.copy_(torch.from_numpy(mean))
    network.feature_scale.copy_(torch.from_numpy(spread))
    for kind, one in cases.molecules.items():
        network.molecular[kind].fit(torch.from_numpy(one.values[one.known]))
    return network.eval()


def told_by(network: PairedNetwork | None, world: World, cases: PairedCases) -> dict[str, Any]:
    """What embeddings tell of the held-back cases: scores of the probes and prompts, precision of the retrieval."""
    embedded = _embedded(network, world)
    labels, pool, test = world.real.labels, world.pool, world.test
    classes = len(world.real.classes)
    told: dict[str, Any] = {"patients": test.tolist()}
    for name, rows in (("probe", pool[:FEW]), ("probe, all", pool)):
        probe = fit_probe(embedded[rows], labels[rows], classes)
        told[name] = probe.probabilities(embedded[test]).round(6).tolist()
    found = retrieval_scores((embedded[test], labels[test]), (embedded[pool], labels[pool]))
    told["retrieval"] = found.round(4).tolist()
    if network is not None:
        table = world.real.expression[list(cases.molecules["rna"].columns)].to_numpy(np.float32)[pool]
        with torch.no_grad():
            support = network.molecular["rna"](torch.from_numpy(table)).numpy()
        prompts = class_prompts(support, labels[pool], world.real.classes)
        told["prompting"] = class_scores(embedded[test], prompts).round(6).tolist()
    return told


@torch.no_grad()
def _embedded(network: PairedNetwork | None, world: World) -> npt.NDArray[np.float32]:
    if network is None:
        return np.stack([bag.mean(axis=0) for bag in world.bags.features])
    rows = []
    for bag in world.bags.features:
        tiles = network.standardise(torch.from_numpy(bag))[None]
        rows.append(network.slide_encoder(tiles, torch.ones(tiles.shape[:2], dtype=torch.bool)).embedding[0].numpy())
    return np.stack(rows)

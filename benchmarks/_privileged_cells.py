"""The cells of the table: what is trained in a world, on how many patients, and what a finished cell says."""

import ast
import hashlib
import inspect
import json
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from _privileged_world import (
    IDENTITY,
    WORLDS,
    World,
    gene_targets,
    given,
    labels_task,
    make_world,
    read_real,
    set_targets,
)
from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import objectives, slide_encoders
from napari_pathlupi.core.progress import run
from napari_pathlupi.simulation import bags
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.training.train import TrainConfig, TrainingCases, Watch, train, watched_steps
from napari_pathlupi.workflows.training.validation import HeldOut

SIZES = {"pam50": (50, 100, 200, 400), "msi": (50, 100, 167)}
CONTROLLED = {"pam50": (100, 400), "msi": (167,)}
SEEDS = range(5)
TRAINED = TrainConfig(
    slide_encoder="abmil",
    settings={"dropout": 0.5},
    objective="",
    rna_steps=0,
    steps=1000,
    tiles=64,
    learning_rate=3e-3,
    weight_decay=0.1,
)
"""For every variant, unless it says otherwise. Rate, decay, dropout and drawn tiles are those that did best for ABMIL,
without expression, in other worlds."""
ATTENDING = 1e-3
"""Learning rate of the networks with attention between tiles or tokens, which take less than a gate (our choice)."""
ANCHORED = replace(TRAINED, tiles=128, objective="reconstruction", weight=5.0, rna_steps=300, steps=700)
"""In other worlds it did better with more tiles drawn, and ABMIL worse."""
LITERAL = replace(
    TRAINED, slide_encoder="pathlupi", settings={"tokens": 50}, objective="reconstruction-genes", weight=15.0
)
INNER_FOLDS = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to train, and which transcriptomes it is given.

    Parameters
    ----------
    train
        How.
    rna
        "own"; or a control: "other patient", "same class", "random sets", "half"; or "level out", without the mean gene
        of each patient.
    everybody
        Whether the transcriptomes of patients without a label are learned from as well.
    world
        "expression"; "label" for one whose morphology follows the label alone; "decoys" for one whose look-alikes carry
        false traces.
    task
        "label" or "survival".
    inner
        Whether this is the inner validation that chooses between the weight and 0, and not a model.
    """

    train: TrainConfig
    rna: str = "own"
    everybody: bool = False
    world: str = "expression"
    task: str = "label"
    inner: bool = False


VARIANTS: Mapping[str, Variant] = {
    "abmil": Variant(TRAINED),
    "pathlupi-anchored": Variant(ANCHORED),
    "pathlupi-anchored, weight 0": Variant(replace(TRAINED, tiles=ANCHORED.tiles)),
    "other patient": Variant(ANCHORED, rna="other patient"),
    "same class": Variant(ANCHORED, rna="same class"),
    "random sets": Variant(ANCHORED, rna="random sets"),
    "half without RNA": Variant(ANCHORED, rna="half"),
    "weight 1": Variant(replace(ANCHORED, weight=1.0)),
    "weight 20": Variant(replace(ANCHORED, weight=20.0)),
    "label world: abmil": Variant(TRAINED, world="label"),
    "label world: pathlupi-anchored": Variant(ANCHORED, world="label"),
    "label world: choice": Variant(ANCHORED, world="label", inner=True),
    "decoys: abmil": Variant(TRAINED, world="decoys"),
    "decoys: pathlupi-anchored": Variant(ANCHORED, world="decoys"),
    "choice": Variant(ANCHORED, inner=True),
    "RNA of all": Variant(ANCHORED, everybody=True),
    "clam-sb": Variant(replace(TRAINED, slide_encoder="clam-sb")),
    "transmil": Variant(replace(TRAINED, slide_encoder="transmil", settings={}, learning_rate=ATTENDING)),
    "pathlupi": Variant(LITERAL),
    "pathlupi, weight 0": Variant(replace(LITERAL, objective="")),
    "contrastive": Variant(replace(ANCHORED, objective="contrastive", weight=1.0)),
    "distillation": Variant(replace(ANCHORED, objective="distillation", weight=1.0)),
    "abmil, 3 x steps": Variant(replace(TRAINED, steps=3000)),
    "pathlupi-anchored, 3 x steps": Variant(replace(ANCHORED, steps=2100, rna_steps=900)),
    "survival: abmil": Variant(TRAINED, task="survival"),
    "survival: pathlupi-anchored": Variant(ANCHORED, task="survival"),
    "level out": Variant(ANCHORED, rna="level out"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a cohort, a world, how many patients and a variant."""

    cohort: str
    seed: int
    size: int
    name: str

    @property
    def variant(self) -> Variant:
        """What its name stands for."""
        return VARIANTS[self.name]

    @property
    def digest(self) -> str:
        """Of all that decides its outcome but the trainer's loop: settings, the world, the classes it is built from."""
        config = self.variant.train
        classes = [*slide_encoders[config.slide_encoder].__mro__]
        classes += objectives[config.objective].__mro__ if config.objective else []
        sources = [code_of(one) for one in classes if one.__module__.startswith("napari_pathlupi")]
        told = [
            asdict(self),
            asdict(self.variant),
            asdict(WORLDS[self.variant.world]),
            code_of(bags),
            sources,
        ]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]


def code_of(thing: Any) -> str:
    """The syntax tree of a class or a module, without its docstrings: new words change no number."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            texts = [one for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)]
            node.body = [one for one in body if one not in texts]  # type: ignore[attr-defined]
    return ast.dump(tree)


def plan(quick: bool) -> list[Cell]:
    """Return all cells, the most wanted first."""
    if quick:
        return [Cell("pam50", seed, 100, name) for seed in (0, 1) for name in ("abmil", "pathlupi-anchored")]
    both = ("abmil", "pathlupi-anchored")
    elsewhere = tuple(name for name in VARIANTS if VARIANTS[name].world != "expression")
    controls = ("same class", "random sets", "half without RNA", "weight 1", "weight 20", *elsewhere)
    plateau = ("abmil, 3 x steps", "pathlupi-anchored, 3 x steps")
    costly = ("pathlupi", "transmil", "pathlupi, weight 0")
    stages = [
        (SIZES, both),
        (CONTROLLED, ("other patient",)),
        ({"pam50": (50, 100, 200, 400), "msi": (50, 100)}, ("RNA of all",)),
        (SIZES, ("pathlupi-anchored, weight 0", "clam-sb")),
        (CONTROLLED, tuple(name for name in controls if not VARIANTS[name].inner)),
        (SIZES, ("level out",)),  # thought of after the others were seen
        (CONTROLLED, ("contrastive", "distillation")),
        ({"pam50": (400,)}, ("survival: abmil", "survival: pathlupi-anchored")),
        ({"pam50": (100, 400)}, plateau),
        (CONTROLLED, ("label world: choice",)),
        (CONTROLLED, ("choice",)),
        ({"pam50": (100, 400)}, costly),
    ]
    return list(dict.fromkeys(cell for sizes, names in stages for cell in _stage(sizes, names)))


def _stage(sizes: Mapping[str, tuple[int, ...]], names: tuple[str, ...]) -> Iterator[Cell]:
    for cohort, counts in sizes.items():
        for seed in SEEDS:
            yield from (Cell(cohort, seed, count, name) for count in counts for name in names)


@lru_cache(maxsize=2)
def _world(folder: Path, cohort: str, seed: int, kind: str) -> World:
    return make_world(read_real(cohort, folder), seed, kind)


def run_cell(cell: Cell, folder: Path) -> dict[str, Any]:
    """Train and test one cell; returns what its line of JSON holds."""
    torch.set_num_threads(1)
    world = _world(folder, cell.cohort, cell.seed, cell.variant.world)
    cases, config = _cases(cell, world)
    config = replace(config, seed=cell.seed)
    begun = time.process_time()
    line = asdict(cell) | {"digest": cell.digest, "weight": config.weight if config.objective else 0.0}
    line |= {"step": config.steps + config.rna_steps}
    if cell.variant.inner:
        line |= _choice(cases, config)
    else:
        line |= _tested(train(cases, config), world, cell.variant.task)
    return line | {"cpu_s": round(time.process_time() - begun, 1)}


def _cases(cell: Cell, world: World) -> tuple[TrainingCases, TrainConfig]:
    variant, config, real = cell.variant, cell.variant.train, world.real
    labelled, rows = world.pool[: cell.size], world.pool if cell.variant.everybody else world.pool[: cell.size]
    task, wanted = labels_task(real), real.labels[:, None].astype(np.float64)
    if variant.task == "survival":
        task, wanted = CataloguePart(name="survival"), real.survival
    elif config.slide_encoder == "clam-sb":
        config = replace(config, settings={**config.settings, "outputs": len(real.classes)})
    if config.objective == "distillation":
        config = replace(config, objective_settings={"outputs": len(real.classes)})
    if config.objective == "reconstruction-genes":
        table, sets = gene_targets(world, rows)
        config = replace(config, objective_settings={"sets": dict(sets)}, settings={"tokens": len(sets)})
    else:
        table = set_targets(world, rows, variant.rna)
    targets = given(table.to_numpy()[rows], real.labels[rows], variant.rna, world.seed)
    known = np.where(np.isin(rows, labelled)[:, None], wanted[rows], np.nan)
    features = [world.bags.features[i] for i in rows]
    return TrainingCases(features, IDENTITY, task, known, targets, tuple(table.columns)), config


@torch.no_grad()
def _tested(model: SlideModel, world: World, task: str) -> dict[str, Any]:
    outputs, found, chance = [], [], []
    for i in world.test:
        tiles = model.standardise(torch.from_numpy(world.bags.features[i]))[None]
        output, encoded = model(tiles, torch.ones(tiles.shape[:2], dtype=torch.bool))
        outputs.append(output[0].double().numpy())
        if encoded.attention is not None:
            carrying = world.bags.carrying[i]
            found.append(average_precision_score(carrying, encoded.attention[0].numpy()))
            chance.append(carrying.mean())
    logits = np.array(outputs)
    if task == "survival":
        survival = np.cumprod(1 / (1 + np.exp(logits)), axis=1)
        scores = -survival.sum(axis=1, keepdims=True)
    else:
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    labels = world.real.labels[world.test]
    auroc = None if task == "survival" else np.mean([roc_auc_score(labels == k, s) for k, s in enumerate(scores.T)])
    return {
        "auroc": None if auroc is None else round(float(auroc), 4),
        "patients": world.test.tolist(),
        "scores": scores.round(6).tolist(),
        "attention_auprc": round(float(np.mean(found)), 4) if found else None,
        "attention_chance": round(float(np.mean(chance)), 4) if found else None,
    }


def _choice(cases: TrainingCases, config: TrainConfig) -> dict[str, Any]:
    """Smoothed AUROC of the weight and of 0 on inner validation cases, and which is better; no test case is seen."""
    labels = cases.wanted[:, 0]
    part = np.array([(labels[:i] == label).sum() for i, label in enumerate(labels)]) % INNER_FOLDS  # by class, in turn
    inner = {}
    for weight in (0.0, config.weight):
        arm = config if weight else replace(TRAINED, seed=config.seed)
        scores = []
        for fold in range(INNER_FOLDS):
            rows = np.flatnonzero(part == fold)
            held_out = HeldOut([cases.bags[i] for i in rows], cases.wanted[rows])
            learned = _part_of(cases, np.flatnonzero(part != fold))
            scores.append(run(watched_steps(learned, arm, Watch(held_out))).score)
        inner[weight] = float(np.mean(scores))
    chosen = max(inner, key=lambda weight: inner[weight])
    return {"weight": chosen, "inner": {str(weight): round(score, 4) for weight, score in inner.items()}}


def _part_of(cases: TrainingCases, rows: npt.NDArray[np.intp]) -> TrainingCases:
    targets = None if cases.targets is None else cases.targets[rows]
    return replace(cases, bags=[cases.bags[i] for i in rows], wanted=cases.wanted[rows], targets=targets)

"""What a training step costs beside gated attention, and what a slide of a million tiles needs of memory."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import torch

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import Progress
from napari_pathlupi.workflows.training.train import TrainConfig, TrainingCases, train_steps
from streaming import measured, write_bag

TILES, DIM, CASES, SETS, GENES = 2000, 512, 16, 50, 28
ROUNDS, MILLION = 30, 1_000_000
WIDTHS = {"width": 256, "hidden": 128}
GATED = TrainConfig(settings=WIDTHS, objective="", rna_steps=0, steps=ROUNDS + 3, batch=1, tiles=TILES)
ANCHORED = replace(GATED, objective="reconstruction")
LITERAL = replace(
    GATED,
    slide_encoder="pathlupi",
    settings={"projection": 256, "tokens": SETS},
    objective="reconstruction-genes",
)


def step_costs() -> dict[str, float]:
    """CPU seconds of a step of the anchored and the literal model beside gated ABMIL of the same widths.

    A step is what the trainer does: draw a bag of 2,000 tiles × 512, forward, backward, optimiser. They take turns, one
    step each, on one thread; the ratio is that of the medians.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    arms = [_steps(config) for config in (GATED, ANCHORED, LITERAL)]
    seconds: list[list[float]] = [[], [], []]
    for round_ in range(ROUNDS + 2):
        for arm, told in zip(arms, seconds, strict=True):
            begun = time.process_time()
            next(arm)
            if round_ >= 2:  # the first steps allocate
                told.append(time.process_time() - begun)
    torch.set_num_threads(before)
    gated, anchored, literal = map(median, seconds)
    return {
        "step_cost_vs_abmil": round(anchored / gated, 3),
        "step_cost_literal_vs_abmil": round(literal / gated, 2),
    }


def _steps(config: TrainConfig) -> Iterator[Progress]:
    random = np.random.default_rng(0)
    bags = [random.normal(size=(TILES, DIM)).astype(np.float32) for _ in range(CASES)]
    columns = SETS * GENES if config.objective == "reconstruction-genes" else SETS
    names = tuple(f"{i}" for i in range(columns))
    if config.objective == "reconstruction-genes":
        config = replace(config, objective_settings={"sets": {f"set {i}": GENES for i in range(SETS)}})
    task = CataloguePart(name="classification", settings={"classes": list("ABCD")})
    wanted = (np.arange(CASES) % 4)[:, None].astype(np.float64)
    identity = EncoderIdentity("benchmark", "1", DIM, 256, 0.5)
    return iter(
        train_steps(TrainingCases(bags, identity, task, wanted, random.normal(size=(CASES, columns)), names), config)
    )


def million_tiles_extra_mb() -> float:
    """Memory over the features that the anchored model's network takes to read a million tiles × 512 of float16."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bag.npy")
        write_bag(path, MILLION)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:  # freed memory here would hide it
            return alone.submit(measured, "abmil", path).result()["extra_mb"]

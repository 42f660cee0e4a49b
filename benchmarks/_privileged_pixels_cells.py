"""The cells of the simulated slides: what is trained on how many, and how it is scored against what was planted."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.metrics import average_precision_score

import _privileged_cells as bags_of_tiles
from _privileged_cells import SEEDS, TRAINED, Variant, code_of
from _privileged_world import given
from demo_model import planted_share
from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.catalogue import objectives, slide_encoders
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.molecular.expression import GeneSetScale
from napari_pathlupi.molecular.gene_sets import hallmark
from napari_pathlupi.simulation.cohort import simulate_steps
from napari_pathlupi.simulation.programmes import PROGRAMMES, SUBTYPES, draw_case
from napari_pathlupi.workflows.demo import IDENTITY
from napari_pathlupi.workflows.prediction.features import features_of
from napari_pathlupi.workflows.prediction.model import SlideModel
from napari_pathlupi.workflows.prediction.stream import StreamConfig, Streamed, infer_stream
from napari_pathlupi.workflows.training.demo_model import BAGS, COHORT, embed_demo_steps
from napari_pathlupi.workflows.training.train import TrainingCases, train

Numbers = npt.NDArray[np.float64]
SIZES = (50, 100, 320)
ANCHORED = replace(bags_of_tiles.ANCHORED, tiles=TRAINED.tiles)
"""These slides have 63 tiles on average: no more can be drawn."""
MILD: Mapping[str, Any] = {"settings": {"dropout": 0.25}, "weight_decay": 0.01, "tiles": 256, "learning_rate": 1e-3}
"""How the presets trained before this was measured."""
FOLLOWS = {name: row for row, one in enumerate(PROGRAMMES) for name in (one.name, *one.gene_sets)}
"""Which programme was planted for a gene set."""

VARIANTS: Mapping[str, Variant] = {
    "abmil": Variant(TRAINED),
    "pathlupi-anchored": Variant(ANCHORED),
    "mild: abmil": Variant(replace(TRAINED, **MILD)),
    "mild: pathlupi-anchored": Variant(replace(ANCHORED, **MILD)),
    "RNA of all": Variant(ANCHORED, everybody=True),
    "other patient": Variant(ANCHORED, rna="other patient"),
    "weight 1": Variant(replace(ANCHORED, weight=1.0)),
    "level out": Variant(ANCHORED, rna="level out"),
    "planted activities": Variant(ANCHORED, rna="planted activities"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a draw of cases, how many, and a variant."""

    seed: int
    size: int
    name: str

    @property
    def variant(self) -> Variant:
        """What its name stands for."""
        return VARIANTS[self.name]

    @property
    def digest(self) -> str:
        """Of all that decides its outcome but the trainer's loop and the rendering."""
        config = self.variant.train
        classes = [slide_encoders[config.slide_encoder], *([objectives[config.objective]] if config.objective else [])]
        sources = [code_of(one) for entry in classes for one in entry.__mro__ if "pathlupi" in one.__module__]
        told = [asdict(self), asdict(self.variant), asdict(COHORT), str(IDENTITY), sources]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:12]


def plan(quick: bool) -> list[Cell]:
    """Return all cells, the most wanted first; with transcriptomes of all, 320 cases are nothing new."""
    both, mild = ("abmil", "pathlupi-anchored"), ("mild: abmil", "mild: pathlupi-anchored")
    if quick:
        return [Cell(seed, 50, name) for seed in (0, 1) for name in both]
    why = ("planted activities", "level out", "weight 1")
    stages: list[tuple[tuple[int, ...], tuple[str, ...]]] = [
        ((50, 100), both),
        ((50,), why[:2]),
        ((50,), (*mild, "RNA of all", "other patient")),
        ((320,), both),
        ((100,), ("level out", *mild, "RNA of all", "other patient", *why)),
        ((320,), ("level out", *mild)),
        ((50,), why),
        ((320,), ("other patient",)),
    ]
    told = [Cell(seed, size, name) for sizes, names in stages for seed in SEEDS for size in sizes for name in names]
    return list(dict.fromkeys(told))


@dataclass(frozen=True, slots=True, eq=False)
class Slides:
    """The simulated cohort: what is learned from, and what was planted in the slides held back.

    Parameters
    ----------
    labels
        (cases,) subtype of each.
    pool, test
        Cases to learn from, and those held back.
    bags
        Features per case.
    expression
        Cases × genes.
    activities
        (cases, programmes) that were planted.
    tumour
        Per held-back case (tiles,) whether each is mostly tumour.
    planted
        Per held-back case (tiles, programmes) mean activity in each tile; 0 outside tumour.
    """

    labels: npt.NDArray[np.int64]
    pool: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]
    bags: Sequence[npt.NDArray[np.float32]]
    expression: pd.DataFrame
    activities: Numbers
    tumour: Sequence[npt.NDArray[np.bool_]]
    planted: Sequence[Numbers]

    def order(self, seed: int) -> npt.NDArray[np.intp]:
        """The pool in a random order whose every beginning holds the subtypes in equal shares."""
        random = np.random.default_rng([seed, 3])
        of_class = [random.permutation(self.pool[self.labels[self.pool] == k]) for k in range(len(SUBTYPES))]
        return np.array([rows[i] for i in range(len(of_class[0])) for rows in of_class])


@cache
def read_slides(folder: Path) -> Slides:
    """Return the cohort of the demo model, simulated and embedded where it is not there."""
    run(simulate_steps(folder, COHORT, hallmark(), CancelFlag()))
    table = pd.read_csv(folder / "cohort.csv")
    run(embed_demo_steps(folder, table))
    found = [features_of(folder / BAGS / f"{name}.h5") for name in table["case"]]
    split = table["split"].to_numpy()
    pool, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    truths = [folder / "truth" / f"{table['case'][i]}.npz" for i in test]
    names = [one.name for one in PROGRAMMES]
    return Slides(
        labels=table["subtype"].map(SUBTYPES.index).to_numpy(np.int64),
        pool=pool,
        test=test,
        bags=[bag.features for bag in found],
        expression=pd.read_csv(folder / "expression.csv.gz", index_col=0),
        activities=np.array([draw_case(COHORT, i).activities for i in range(len(table))]),
        tumour=[planted_share(truth, found[i].grid) >= 0.5 for i, truth in zip(test, truths, strict=True)],
        planted=[
            np.stack([planted_share(truth, found[i].grid, name) for name in names], axis=1)
            for i, truth in zip(test, truths, strict=True)
        ],
    )


def targets_of(slides: Slides, rows: npt.NDArray[np.intp], rna: str) -> pd.DataFrame:
    """Cases × gene sets of the whole cohort, scaled on some.

    Or what was planted, without a transcriptome between; or from expression less the mean gene of each case.
    """
    if rna == "planted activities":
        known = slides.activities[rows]
        scaled = (slides.activities - known.mean(axis=0)) / known.std(axis=0)
        return pd.DataFrame(scaled, columns=[one.name for one in PROGRAMMES])
    expression = slides.expression
    if rna == "level out":
        expression = expression.sub(expression.mean(axis=1), axis=0)
    return GeneSetScale.fit(expression.iloc[rows], hallmark()).apply(expression)


def run_cell(cell: Cell, folder: Path) -> dict[str, Any]:
    """Train and test one cell; returns what its line of JSON holds."""
    torch.set_num_threads(1)
    slides, variant, begun = read_slides(folder), cell.variant, time.process_time()
    order = slides.order(cell.seed)
    rows = order if variant.everybody else order[: cell.size]
    table = targets_of(slides, rows, variant.rna)
    wanted = np.where(np.arange(len(rows)) < cell.size, slides.labels[rows], np.nan)[:, None]
    targets = given(table.to_numpy()[rows], slides.labels[rows], variant.rna, cell.seed)
    task = CataloguePart(name="classification", settings={"classes": list(SUBTYPES)})
    cases = TrainingCases([slides.bags[i] for i in rows], IDENTITY, task, wanted, targets, tuple(table.columns))
    model = train(cases, replace(variant.train, seed=cell.seed))
    line = asdict(cell) | {"digest": cell.digest} | _tested(model, slides, table.iloc[slides.test])
    return line | {"cpu_s": round(time.process_time() - begun, 1)}


def _tested(model: SlideModel, slides: Slides, measured: pd.DataFrame) -> dict[str, Any]:
    mapped = [name for name in model.gene_sets if name in FOLLOWS]
    said = [_last(model, slides.bags[i], mapped) for i in slides.test]
    found = [
        (average_precision_score(tumour, one.attention), tumour.mean())
        for one, tumour in zip(said, slides.tumour, strict=True)
        if 0 < tumour.sum() < len(tumour)
    ]
    scores = softmax(np.array([one.outputs for one in said], np.float64), axis=1)
    line = {
        "patients": list(range(len(slides.test))),
        "scores": scores.round(6).tolist(),
        "attention_auprc": float(np.mean([a for a, _ in found])),
        "attention_chance": float(np.mean([chance for _, chance in found])),
    }
    if mapped:
        line |= _mapped(said, mapped, slides) | _told(said, measured)
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}


def _last(model: SlideModel, bag: npt.NDArray[np.float32], mapped: Sequence[str]) -> Streamed:
    return list(infer_stream(model, bag, StreamConfig(maps=mapped)))[-1]


def _mapped(said: Sequence[Streamed], mapped: Sequence[str], slides: Slides) -> dict[str, float]:
    """How well maps find the tumour in which their programme is active: above its median over the tumour held back.

    All tiles together ("map"), and those of tumour alone ("which"): maps of its own sets, of other programmes' sets,
    and the attention, in units of an even spread.
    """
    maps = {name: np.concatenate([one.maps[name] * one.tiles for one in said]) for name in mapped}
    attention = np.concatenate([one.attention * one.tiles for one in said])  # type: ignore[operator]
    tumour, planted = np.concatenate(slides.tumour), np.concatenate(slides.planted)
    found: dict[str, list[float]] = {}
    for row in range(len(PROGRAMMES)):
        active = tumour & (planted[:, row] > np.median(planted[tumour, row]))
        for where, kind in ((np.ones_like(tumour), "map"), (tumour, "which")):
            found.setdefault(f"{kind}_chance", []).append(float(active[where].mean()))
            tried = [("own" if FOLLOWS[name] == row else "other", maps[name]) for name in mapped]
            for whose, score in [*tried, ("attention", attention)]:
                value = float(average_precision_score(active[where], score[where]))
                found.setdefault(f"{kind}_{whose}", []).append(value)
    return {key: float(np.mean(values)) for key, values in found.items()}


def _told(said: Sequence[Streamed], measured: pd.DataFrame) -> dict[str, float]:
    """Correlation, over the cases held back, of activity as claimed with activity as measured, by kind of set."""
    claimed = pd.DataFrame([one.activity for one in said], index=measured.index)
    by_set = claimed.corrwith(measured)
    follows = by_set.index.isin(list(FOLLOWS))
    told = {"told": float(by_set[follows].mean())}
    return told if follows.all() else told | {"told_others": float(by_set[~follows].mean())}

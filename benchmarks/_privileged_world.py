"""Real transcriptomes and labels, and worlds in which simulated tiles carry traces of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.molecular.expression import GeneSetScale, level_out
from napari_pathlupi.molecular.gene_scale import GeneScale
from napari_pathlupi.molecular.gene_sets import hallmark, measured_sets
from napari_pathlupi.molecular.tables import ReadingOptions, read_expression
from napari_pathlupi.simulation.bags import BagConfig, SimulatedBags, simulate_bags

WORLD = BagConfig()
"""Its defaults were chosen so that gated ABMIL stands near the trial's figures, in worlds that no table uses."""
WORLDS = {
    "expression": WORLD,
    "label": replace(WORLD, case_noise=1.5),  # no easier than the first
    "decoys": replace(WORLD, lookalikes=0.3, trace=0.85, decoy=1.0, contrast=0.2, likeness=0.5),
}
"""Tissue that follows gene sets; the label alone; gene sets, with look-alikes that carry false traces."""
IDENTITY = EncoderIdentity("simulated-bags", "1", WORLD.dim, 256, 0.5)
FEWEST_GENES = 5


@dataclass(frozen=True, slots=True, eq=False)
class RealCohort:
    """Patients with a transcriptome and a label.

    Parameters
    ----------
    expression
        Patients × genes.
    labels
        (patients,) class of each.
    classes
        Their names.
    survival
        (patients, 2) months, and 1 where the patient died then.
    held_back
        Share of the patients that is tested on.
    """

    expression: pd.DataFrame
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    survival: npt.NDArray[np.float64]
    held_back: float


@cache
def read_real(name: str, folder: Path) -> RealCohort:
    """Return "pam50" (TCGA-BRCA, Normal left out) or "msi" (TCGA-COADREAD, MSI-H against the rest)."""
    stem, column, classes, unit, held_back = {
        "pam50": ("tcga_brca", "pam50", ("Basal", "Her2", "LumA", "LumB"), "z-score", 1 / 3),
        "msi": ("tcga_coadread", "msi_status", ("MSS or MSI-L", "MSI-H"), "log2(TPM+0.001)", 0.4),
    }[name]
    suffix = "zscores" if name == "pam50" else "log2tpm"
    table = read_expression(folder / "rna" / f"{stem}_rna_{suffix}.csv.gz", ReadingOptions(unit=unit)).table
    clinical = pd.read_csv(folder / "rna" / f"{stem}_slides_clinical.csv").groupby("case_id").first()
    stated = clinical[column].replace({"MSS": classes[0], "MSI-L": classes[0]}).reindex(table.index)
    kept = stated.isin(classes).to_numpy()
    labels = stated[kept].map(classes.index).to_numpy(np.int64)
    times = clinical.reindex(table.index[kept])
    survival = np.stack([times["survival_months"].clip(lower=0.01), 1 - times["censorship"]], axis=1)
    return RealCohort(table[kept], labels, classes, survival.astype(np.float64), held_back)


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One simulated world of a real cohort: its bags, and who is trained and tested on.

    Parameters
    ----------
    real
        Whose transcriptomes and labels.
    seed
        Decides maps, noise, cases and folds.
    bags
        Per patient.
    pool
        Patients to train on, in an order whose every beginning holds the classes in their shares.
    test
        The held-back ones.
    """

    real: RealCohort
    seed: int
    bags: SimulatedBags
    pool: npt.NDArray[np.intp]
    test: npt.NDArray[np.intp]


def make_world(real: RealCohort, seed: int, kind: str = "expression") -> World:
    """Return a world of one of the `WORLDS`."""
    profiles = _of_label(real.labels) if kind == "label" else morphology_profile(real.expression, seed)
    random = np.random.default_rng([seed, 3])
    place = np.empty(len(real.labels))
    for label in np.unique(real.labels):
        members = random.permutation(np.flatnonzero(real.labels == label))
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
    order = np.argsort(place)
    trained = round(len(order) * (1 - real.held_back))
    bags = simulate_bags(profiles, seed, WORLDS[kind])
    return World(real, seed, bags, order[:trained], np.sort(order[trained:]))


def morphology_profile(expression: pd.DataFrame, seed: int) -> npt.NDArray[np.float64]:
    """(patients, sets) what the tissue follows: mean z-score, held within ±3, of a random half of each set's genes.

    Not the target of the training (ranks of all genes of a set): tissue does not know how we summarise expression.
    """
    scores = ((expression - expression.mean()) / expression.std().replace(0, 1)).clip(-3, 3)
    random = np.random.default_rng([seed, 2])
    kept, _ = measured_sets(hallmark(), expression.columns, FEWEST_GENES)
    halves = [random.choice(genes, max(3, len(genes) // 2), replace=False) for genes in kept.values()]
    profile = np.stack([scores[list(half)].mean(axis=1).to_numpy() for half in halves], axis=1)
    return (profile - profile.mean(axis=0)) / profile.std(axis=0)


def _of_label(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    columns = np.eye(labels.max() + 1)[labels]
    return (columns - columns.mean(axis=0)) / columns.std(axis=0)


def set_targets(world: World, train: Sequence[int], rna: str = "own") -> pd.DataFrame:
    """Patients × gene sets, scaled on the training patients.

    Or as many "random sets" of any genes, of the same sizes; or with the "level out" of each patient's genes.
    """
    table, sets = world.real.expression, measured_sets(hallmark(), world.real.expression.columns, FEWEST_GENES)[0]
    if rna == "random sets":
        sets = _shuffled_sets(sets, list(table.columns), np.random.default_rng([world.seed, 4]))
    if rna == "level out":
        table = level_out(table)
    return GeneSetScale.fit(table.iloc[list(train)], sets).apply(table)


def gene_targets(world: World, train: Sequence[int]) -> tuple[pd.DataFrame, Mapping[str, int]]:
    """Patients × genes of all sets, scaled on the training patients, and how many genes each set has."""
    table = world.real.expression
    scale = GeneScale.fit(table.iloc[list(train)], hallmark())
    return scale.apply(table), scale.sets


def _shuffled_sets(
    sets: Mapping[str, Sequence[str]], genes: Sequence[str], random: np.random.Generator
) -> Mapping[str, Sequence[str]]:
    return {name: tuple(random.choice(genes, len(members), replace=False)) for name, members in sets.items()}


def labels_task(real: RealCohort) -> CataloguePart:
    """The task of a cohort's labels."""
    return CataloguePart(name="classification", settings={"classes": list(real.classes)})


def given(
    targets: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], rna: str, seed: int
) -> npt.NDArray[np.float64]:
    """The transcriptomes as a control gives them."""
    random, count = np.random.default_rng([seed, 5]), len(targets)
    if rna == "other patient":
        order = random.permutation(count)  # the next one along a random circle: never oneself
        return targets[_next_along(order)]
    if rna == "same class":
        others = np.arange(count)
        for label in np.unique(labels):
            circle = random.permutation(np.flatnonzero(labels == label))
            others[circle] = np.roll(circle, 1)
        return targets[others]
    if rna == "half":
        return np.where(random.permutation(count)[:, None] < count // 2, np.nan, targets)
    return targets


def _next_along(order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    following = np.empty_like(order)
    following[order] = np.roll(order, 1)
    return following

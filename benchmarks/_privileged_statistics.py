"""Differences between two ways to train, with intervals over worlds and over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from napari_pathlupi.evaluation.measures import auroc, concordance

Numbers = npt.NDArray[np.float64]
Line = Mapping[str, Any]
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over worlds with its 95 % intervals.

    Parameters
    ----------
    mean
        Over the worlds.
    low, high
        Of a bootstrap over worlds and patients at once: worlds are drawn with replacement, and patients of the whole
        cohort, stratified by class, one draw for all worlds and both arms.
    t_low, t_high
        Of Student's t over the worlds, which knows how few they are.
    """

    mean: float
    low: float
    high: float
    t_low: float
    t_high: float


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """How often each patient and each world is drawn; the first row is all as they are."""

    patients: Numbers  # resamples × cohort
    worlds: Numbers  # resamples × worlds, each row adds up to 1

    @classmethod
    def draw(cls, strata: npt.NDArray[np.int64], worlds: int) -> "Resamples":
        """Return the same draws for the same cohort."""
        random = np.random.default_rng(7)
        patients, shares = np.ones((RESAMPLES + 1, len(strata))), np.full((RESAMPLES + 1, worlds), 1 / worlds)
        for stratum in np.unique(strata):
            rows = np.flatnonzero(strata == stratum)
            patients[1:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES)
        shares[1:] = random.multinomial(worlds, shares[0], RESAMPLES) / worlds
        return cls(patients, shares)


def scores_of(lines: Sequence[Line], labels: npt.NDArray[np.int64], resamples: Resamples) -> Numbers:
    """Return (resamples, worlds) macro one-against-rest AUROC of the lines of one variant, one line per world."""
    columns = []
    for line in lines:
        rows, scores = np.array(line["patients"]), np.array(line["scores"])
        counts = resamples.patients[:, rows]
        areas = [auroc(labels[rows] == k, scores[:, k], counts) for k in range(scores.shape[1])]
        columns.append(np.mean(areas, axis=0))
    return np.stack(columns, axis=1)


def c_index_of(lines: Sequence[Line], survival: Numbers, resamples: Resamples) -> Numbers:
    """Return (resamples, worlds) Harrell's C of the lines of one variant."""
    columns = []
    for line in lines:
        rows, risk = np.array(line["patients"]), np.array(line["scores"])[:, 0]
        times, events = survival[rows, 0], survival[rows, 1] == 1
        one_group = np.zeros(len(rows), np.int64)
        columns.append(concordance(times, events, risk, one_group, resamples.patients[:, rows]))
    return np.stack(columns, axis=1)


def interval_of(values: Numbers, resamples: Resamples) -> Interval:
    """Return the mean of (resamples, worlds) values, or of their differences, with its intervals."""
    drawn = np.nansum(values * resamples.worlds, axis=1)
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    worlds = values[0]
    half = np.inf
    if len(worlds) > 1:
        half = float(stats.t.ppf(0.975, len(worlds) - 1) * worlds.std(ddof=1) / np.sqrt(len(worlds)))
    mean = float(drawn[0])
    return Interval(mean, float(low), float(high), mean - half, mean + half)

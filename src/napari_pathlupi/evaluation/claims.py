"""Whether activity that folds claim of gene sets goes with the activity that was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_pathlupi.core.claims import FEW_CASES, ClaimCheck
from napari_pathlupi.errors import TableError, reason_of
from napari_pathlupi.evaluation.measures import Flags, Indices, Numbers
from napari_pathlupi.evaluation.scoring import ScoreConfig, figure_of, resampled

if TYPE_CHECKING:
    import pandas as pd

GENE_SETS = "gene_sets.csv"
"""How the table of the checks is called in the folder of a run."""
FEW_OF_A_FOLD = 3
"""A line fits any two cases: a fold with fewer is left out (our choice)."""
_COLUMNS = ["gene_set", "cases", "r", "low", "high"]
_FLAT = 1e-10
"""Variance below which activities, of the size of 1, are the same but for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class ClaimsOfFold:
    """What a fold claimed of cases that it did not learn from.

    Parameters
    ----------
    cases
        Names of the patients.
    claimed, measured
        (cases, sets) activity; NaN where not measured.
    """

    cases: tuple[str, ...]
    claimed: Numbers
    measured: Numbers


def check_claims(
    folds: Sequence[ClaimsOfFold], sets: Sequence[str], config: ScoreConfig | None = None
) -> Mapping[str, ClaimCheck]:
    """Return for each gene set how far the claims went with what was measured.

    Pearson's correlation within each fold, as each has a scale of its own, and the mean over the folds, weighted by
    their measured cases so that a fold with few counts little (our choice). Cases are drawn again within their fold;
    where several folds tested a case it counts alike in all of them, and all are drawn together.

    Parameters
    ----------
    folds
        Those that claim something.
    sets
        Names of the columns.
    config
        Of the resamples.
    """
    if not folds:
        return {}
    config = config or ScoreConfig()
    known, owners = np.unique(np.concatenate([fold.cases for fold in folds]), return_inverse=True)
    parts = np.split(owners, np.cumsum([len(fold.cases) for fold in folds])[:-1])
    counts = resampled(_strata(parts, len(known)), config)
    each = np.stack([_correlations(one, counts[:, part]) for one, part in zip(folds, parts, strict=True)])
    measured = [np.isfinite(fold.measured) for fold in folds]
    pooled = _weighted_mean(each, np.array([there.sum(axis=0) for there in measured])[:, None, :])
    used = [there & np.isfinite(one[0]) for there, one in zip(measured, each, strict=True)]
    pooled[:, _patients(used, parts, len(known)) < FEW_CASES] = np.nan
    cases = np.where(np.isfinite(pooled[0]), *(_patients(there, parts, len(known)) for there in (used, measured)))
    found = [figure_of(column, config.level) for column in pooled.T]
    whole = zip(sets, found, cases.tolist(), strict=True)
    return {name: ClaimCheck(one.value, one.low, one.high, number) for name, one, number in whole}


def table_of(checks: Mapping[str, ClaimCheck]) -> "pd.DataFrame":
    """Return a row per gene set, the best first."""
    import pandas as pd

    rows = [(name, one.cases, one.r, one.low, one.high) for name, one in checks.items()]
    table = pd.DataFrame(rows, columns=_COLUMNS).sort_values("r", ascending=False, kind="stable")
    return table.round(4)


def read_checks(run: Path) -> Mapping[str, ClaimCheck]:
    """Return what the folder of a run says of its claims; empty where it says nothing.

    Raises
    ------
    TableError
        When the table is not one that a run writes.
    """
    import pandas as pd

    file = run / GENE_SETS
    if not file.is_file():
        return {}
    try:
        table = pd.read_csv(file)[_COLUMNS]
        numbers = table[["r", "low", "high"]].to_numpy(dtype=float).tolist()
        whole = zip(table["gene_set"].astype(str), numbers, table["cases"].astype(int), strict=True)
        return {name: ClaimCheck(r, low, high, int(cases)) for name, (r, low, high), cases in whole}
    except (OSError, KeyError, ValueError) as error:
        raise TableError(f"{file} is not what a run writes ({reason_of(error)}): train again, or delete it.") from error


def _weighted_mean(each: Numbers, weights: Indices) -> Numbers:
    """(resamples, sets) mean over the folds of what is known."""
    known = np.isfinite(each)
    total, sums = (known * weights).sum(axis=0), np.where(known, each * weights, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0))


def _strata(parts: Sequence[Indices], patients: int) -> Indices:
    """(patients,) the fold of each where every patient is tested once; else one stratum."""
    strata = np.zeros(patients, dtype=np.int64)
    if sum(map(len, parts)) == patients:
        for number, part in enumerate(parts):
            strata[part] = number
    return strata


def _patients(there: Sequence[Flags], parts: Sequence[Indices], patients: int) -> Indices:
    """(sets,) how many patients are there in some fold, each once."""
    any_fold = np.zeros((patients, there[0].shape[1]), dtype=bool)
    for of_fold, part in zip(there, parts, strict=True):
        any_fold[part] |= of_fold
    return np.asarray(any_fold.sum(axis=0))


def _correlations(fold: ClaimsOfFold, counts: Numbers) -> Numbers:
    """(resamples, sets), NaN where one of the two is the same in all cases drawn."""
    there = np.isfinite(fold.measured) & np.isfinite(fold.claimed)
    enough = there.sum(axis=0) >= FEW_OF_A_FOLD
    cases = np.maximum(counts @ there, 1)

    def centred(values: Numbers) -> Numbers:  # near 0, so that sums stay exact
        values = np.where(there, values, 0.0)
        return np.where(there, values - values.sum(axis=0) / np.maximum(there.sum(axis=0), 1), 0.0)

    def covariance(a: Numbers, b: Numbers) -> Numbers:
        return np.asarray(counts @ (a * b) / cases - (counts @ a) * (counts @ b) / cases**2)

    x, y = centred(fold.claimed), centred(fold.measured)
    of_x, of_y = covariance(x, x), covariance(y, y)
    varies = (of_x > _FLAT) & (of_y > _FLAT) & enough
    both = np.sqrt(np.where(varies, of_x * of_y, 1.0))
    return np.where(varies, np.clip(covariance(x, y) / both, -1, 1), np.nan)

"""Splits of a cohort that has no official one: stratified by patient, with sites kept together if wanted."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import Cohort
from napari_pathlupi.core.folds import Folds, Role
from napari_pathlupi.errors import SettingsError

_BINS = 4
"""Strata of a time or a value: its quartiles (our choice)."""
FEW_TESTED = 5
"""A fold that tests fewer cases is spoken of (our choice)."""


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How a cohort is split where no official split is given.

    Parameters
    ----------
    folds
        Number of folds; each case is tested once.
    seed
        Of the shuffling.
    by_site
        Whether all cases of a site stand on the same side.
    validation
        Share of the training cases of each fold to choose by.
    """

    folds: int = 5
    seed: int = 0
    by_site: bool = False
    validation: float = 0.2


def split(cohort: Cohort, plan: SplitPlan | None = None) -> Folds:
    """Return stratified folds of patients.

    Labelled cases are dealt by stratum: class, pattern of labels, quartile of the value, or event and quartile of the
    time. Unlabelled cases are never tested; they train in every fold, so that their expression can be learned from,
    except where their site is held out.

    Raises
    ------
    SettingsError
        When there are too few cases or sites for that many folds.
    """
    plan = plan or SplitPlan()
    rows = np.flatnonzero(cohort.labelled)
    part = np.full(len(cohort), -1)
    part[rows] = _dealt(cohort, rows, plan.folds, plan.seed, plan.by_site)
    roles = np.full((len(cohort), plan.folds), Role.TRAIN, dtype=np.int8)
    roles[rows, part[rows]] = Role.TEST
    sites = " keeping sites together" if plan.by_site else ""
    folds = Folds(cohort.names, roles, f"{plan.folds} stratified folds of patients{sites}, seed {plan.seed}")
    if plan.by_site:
        folds = replace(folds, roles=_without_other_side(cohort, roles, Role.TEST))
    return with_validation(folds, cohort, plan)


def with_validation(folds: Folds, cohort: Cohort, plan: SplitPlan | None = None) -> Folds:
    """Return the folds with a stratified part of the training cases held out to choose by, where a fold has none.

    The part is the nearest that a whole number of parts of patients, or of sites, allows.

    Raises
    ------
    SettingsError
        When the share is not between 0 and 1/2, or the training cases are fewer than two, or of one site.
    """
    plan = plan or SplitPlan()
    if not 0 <= plan.validation <= 0.5:
        raise SettingsError(f"a share of {plan.validation:g} for validation is not possible: 0 to 0.5 is.")
    folds = folds.of(cohort.names)
    roles = folds.roles.copy()
    for fold in range(len(folds)):
        rows = folds.train(fold)[cohort.labelled[folds.train(fold)]]
        if len(folds.validation(fold)) or not plan.validation:
            continue
        parts = max(2, min(round(1 / plan.validation), len(set(_groups(cohort, rows, plan.by_site)))))
        roles[rows[_dealt(cohort, rows, parts, plan.seed + 1 + fold, plan.by_site) == 0], fold] = Role.VALIDATION
    if plan.by_site:
        roles = _without_other_side(cohort, roles, Role.VALIDATION)
    return replace(folds, roles=roles)


def split_notes(folds: Folds, cohort: Cohort) -> tuple[str, ...]:
    """Return where a split comes from, and of how many test folds a figure would say little, a sentence each."""
    tested = [cohort.wanted[folds.test(fold)] for fold in range(len(folds))]
    found = [len(set(wanted[np.isfinite(wanted)])) for wanted in tested]
    small = sum(np.isfinite(wanted).any(axis=1).sum() < FEW_TESTED for wanted in tested)
    lacking = sum(classes < len(cohort.endpoint.classes) for classes in found)
    said = f"Split: {folds.source}."
    if not (small or lacking):
        return (said,)
    many = f"{len(folds)} test folds" if len(folds) > 1 else "1 test fold"
    return said, (
        f"Of {many}, {small} with fewer than {FEW_TESTED} labelled cases and {lacking} without a case of some class: "
        "figures of such a fold say little, look at those of all folds together or set fewer folds."
    )


def _without_other_side(cohort: Cohort, roles: npt.NDArray[np.int8], side: Role) -> npt.NDArray[np.int8]:
    """Take unlabelled cases out of training where their site is on the other side."""
    sites = np.array([case.site for case in cohort.cases])
    roles = roles.copy()
    for fold in range(roles.shape[1]):
        held_out = np.isin(sites, sites[roles[:, fold] == side])
        roles[held_out & ~cohort.labelled & (roles[:, fold] == Role.TRAIN), fold] = Role.UNUSED
    return roles


def _dealt(cohort: Cohort, rows: npt.NDArray[np.int64], parts: int, seed: int, by_site: bool) -> npt.NDArray[np.int64]:
    """(rows,) the part that each falls to, all parts alike in strata."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    groups = _groups(cohort, rows, by_site)
    many = len(set(groups))
    if not 2 <= parts <= many:
        what = ("site" if by_site else "labelled case") + "s" * (many != 1)
        possible = f"2 to {many} are possible" if many > 1 else "at least two are needed"
        raise SettingsError(f"{many} {what} cannot be split into {parts}: {possible}.")
    strata = _strata(cohort, rows, parts)
    kind = StratifiedGroupKFold if by_site else StratifiedKFold
    part = np.zeros(len(rows), dtype=np.int64)
    splits = kind(parts, shuffle=True, random_state=seed).split(strata, strata, groups if by_site else None)
    for number, (_, held_out) in enumerate(splits):
        part[held_out] = number
    return part


def _groups(cohort: Cohort, rows: npt.NDArray[np.int64], by_site: bool) -> list[str]:
    """What must stay together: sites, or patients."""
    cases = [cohort.cases[int(row)] for row in rows]
    return [(by_site and case.site) or case.name for case in cases]


def _strata(cohort: Cohort, rows: npt.NDArray[np.int64], parts: int) -> npt.NDArray[np.int64]:
    """(rows,) a stratum each; those too small to be in every part are joined, with the largest if need be."""
    wanted, task = cohort.wanted[rows], cohort.endpoint.task
    if task == "survival":
        key = np.stack([wanted[:, 1], _quartile(wanted[:, 0])], axis=1)
    elif task == "regression":
        key = np.stack([_quartile(column) for column in wanted.T], axis=1)
    else:
        key = np.nan_to_num(wanted, nan=-1)
    _, strata, counts = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    strata = strata.reshape(-1).astype(np.int64)
    small = counts[strata] < parts
    if small.any():
        strata[small] = len(counts) if small.sum() >= parts else int(counts.argmax())
    return strata


def _quartile(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = np.isfinite(values)
    bins = np.full(len(values), -1.0)
    if known.any():
        bins[known] = np.searchsorted(np.quantile(values[known], np.arange(1, _BINS) / _BINS), values[known])
    return bins

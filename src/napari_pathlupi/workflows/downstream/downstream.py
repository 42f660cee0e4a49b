"""What the downstream protocols share: settings, folds, what could not be done, and the report."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.folds import Folds, Role
from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation.fold_scores import FoldScores, Measured, summarise
from napari_pathlupi.evaluation.scoring import ScoreConfig
from napari_pathlupi.workflows.cases.split import SplitPlan, split
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.config import DownstreamConfig

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a protocol found.

    Parameters
    ----------
    protocol
        Its name.
    scores
        Every measure with its interval.
    skipped
        What could not be done and why, a sentence each.
    notes
        What was read, matched and done, a sentence each.
    settings
        Of the protocol, as JSON values.
    folds
        What was said of each case in each fold, for a table of predictions.
    """

    protocol: str
    scores: tuple[Measured, ...]
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    folds: tuple[FoldScores, ...] = ()


@dataclass(slots=True)
class Attempts:
    """Folds that could be tested, and why others could not."""

    tested: list[FoldScores] = field(default_factory=list)
    refused: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    notes: dict[str, list[int]] = field(default_factory=dict)

    def attempt(self, number: int, what: str, test: Callable[[], FoldScores]) -> None:
        """Test a fold, or note why it cannot be."""
        try:
            scores = test()
        except UnusableFoldError as error:
            folds = self.refused.setdefault((what, str(error)), [])
            folds += [number] if number not in folds else []
            return
        self.tested.append(scores)
        for note in scores.notes:
            self.notes.setdefault(note, []).append(number)

    def must_have_tested(self) -> None:
        """Raise `UnusableFoldError` with all reasons when no fold could be tested."""
        if not self.tested:
            raise UnusableFoldError(f"no fold can be tested. {' '.join(self.skipped)}".rstrip("."))

    @property
    def skipped(self) -> tuple[str, ...]:
        """Which folds are left out and why, equal reasons once."""
        return tuple(
            f"Fold {folds[0]}{what} is left out: {why}."
            if len(folds) == 1
            else f"Folds {', '.join(map(str, folds))}{what} are left out: {why}."
            for (what, why), folds in self.refused.items()
        )

    @property
    def said(self) -> tuple[str, ...]:
        """What must be said of the folds, equal notes once."""
        return tuple(
            f"{note[0].upper()}{note[1:]} ({len(folds)} of {len(self.tested)} fits)."
            for note, folds in self.notes.items()
        )


def folds_of(cases: DownstreamCases, folds: Folds | None, settings: DownstreamConfig) -> Folds:
    """Return the split that is given, that of the table, or one that is made; for these cases, in their order."""
    folds = folds or cases.cohort.folds
    if folds is not None:
        return folds.of(cases.cohort.names)
    by_slide = bool((cases.patients != np.array(cases.cohort.names)).any())
    return split(cases.cohort, SplitPlan(settings.folds, settings.seed, by_site=by_slide, validation=0.0))


def sides(folds: Folds) -> Iterator[tuple[int, Rows, Rows]]:
    """Yield the number of each fold, the rows to learn from and those to test on."""
    for number in range(len(folds)):
        yield number, folds.train(number), folds.test(number)


def scored(
    tested: Sequence[FoldScores], cases: DownstreamCases, settings: DownstreamConfig, setting: str = ""
) -> tuple[Measured, ...]:
    """Return what the folds score, with intervals over patients; see `summarise`."""
    return summarise(tested, cases.patients, ScoreConfig(settings.resamples, settings.seed), setting)


def words_of_split(cases: DownstreamCases, folds: Folds) -> tuple[str, ...]:
    """Return what must be said of a split: where it is from, and whether a patient has slides on both sides."""
    both: set[str] = set()
    for _, train, test in sides(folds):
        both |= set(cases.patients[train]) & set(cases.patients[test])
    held = int((folds.roles == Role.VALIDATION).any(axis=1).sum())
    unused = (f"{held} cases that the split holds back to choose by are not used: nothing is chosen.",) if held else ()
    whence = (f"Folds: {folds.source}.", *unused)
    if not both:
        return whence
    return (*whence, f"{len(both)} patients have slides on both sides of the split: the scores are too high.")


def must_be_both(train: Rows, test: Rows) -> None:
    """Refuse a fold without cases on one side.

    Raises
    ------
    UnusableFoldError
        When there is nothing to learn from or nothing to test on.
    """
    if not len(train) or not len(test):
        raise UnusableFoldError(f"it has {len(train)} cases to learn from and {len(test)} to test on")


def must_have_classes(cases: DownstreamCases, what: str) -> None:
    """Refuse a survival.

    Raises
    ------
    SettingsError
        When the endpoint is no class.
    """
    if cases.survival:
        raise SettingsError(f"{what} is of classes, and this is a survival: name a column of classes.")

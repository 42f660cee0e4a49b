"""What the folds of a protocol score: each measure as the mean over folds, with an interval over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import UnusableFoldError
from napari_pathlupi.evaluation import measures
from napari_pathlupi.evaluation.measures import Indices, Numbers
from napari_pathlupi.evaluation.predicted import Classified, Measure, Predicted, Survived
from napari_pathlupi.evaluation.scoring import Figure, ScoreConfig, figure_of, resampled

OF_CLASSES = ("AUROC", "AUROC (macro one-vs-rest)", "Balanced accuracy", "Cohen's kappa (quadratic)")
"""What the protocols measure of classes; ``pathlupi evaluate`` tells the rest from the table of predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldScores:
    """One fold that was tested.

    Parameters
    ----------
    fold
        Its number.
    rows
        (tested,) which cases of the study were tested.
    told
        What was said of them and what is true, row by row.
    notes
        What must be said of this fold.
    """

    fold: int
    rows: Indices
    told: Predicted
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of a protocol.

    Parameters
    ----------
    metric
        What it is called.
    figure
        Mean over the folds that were tested, with its 95 % interval over patients.
    folds
        Value of each fold, in their order.
    cases
        How many different cases were tested.
    setting
        What sets it apart from others of the report, such as "4 shots".
    """

    metric: str
    figure: Figure
    folds: tuple[float, ...]
    cases: int
    setting: str = ""

    @property
    def standard_error(self) -> float | None:
        """Return that of the mean over folds, which Patho-Bench prints; None for a single fold."""
        if len(self.folds) < 2:
            return None
        return float(np.std(self.folds, ddof=1) / len(self.folds) ** 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved(Predicted):
    """Average precision of queries at several ranks.

    Parameters
    ----------
    ranks
        Each k.
    labels
        (n,) class of each query.
    precisions
        (n, ranks).
    """

    ranks: tuple[int, ...]
    labels: Indices
    precisions: Numbers

    def strata(self) -> Indices:
        return self.labels

    def measures(self) -> Mapping[str, Measure]:
        """Return the mean over the queries at each rank."""
        return {f"mAP@{rank}": _mean_of(self.precisions[:, k]) for k, rank in enumerate(self.ranks)}


@dataclass(frozen=True, slots=True, eq=False)
class Clustered(Predicted):
    """Clusters, as they are, beside the classes.

    Parameters
    ----------
    labels, members
        (n,) class and cluster of each case.
    """

    labels: Indices
    members: Indices

    def strata(self) -> Indices:
        return self.labels

    def measures(self) -> Mapping[str, Measure]:
        """Return the adjusted Rand index and the mutual information in nats."""
        return {"Adjusted Rand index": self._rand, "Mutual information (nats)": self._shared}

    def _table(self, counts: Numbers) -> Numbers:
        size = int(max(self.labels.max(), self.members.max())) + 1
        return measures.confusion(self.labels, self.members, size, counts)

    def _rand(self, counts: Numbers) -> Numbers:
        table = self._table(counts)
        both = _pairs(table).sum(axis=(1, 2))
        one, other = (_pairs(table.sum(axis=axis)).sum(axis=1) for axis in (1, 2))
        chance, most = one * other / _pairs(table.sum(axis=(1, 2))), (one + other) / 2
        return np.asarray(np.divide(both - chance, most - chance, out=np.ones_like(both), where=most != chance))

    def _shared(self, counts: Numbers) -> Numbers:
        joint = np.asarray(self._table(counts) / counts.sum(axis=1)[:, None, None])
        alone = joint.sum(axis=2)[:, :, None] * joint.sum(axis=1)[:, None, :]
        ratio = np.divide(joint, alone, out=np.ones_like(joint), where=joint > 0)
        return np.asarray((joint * np.log(ratio)).sum(axis=(1, 2)))


def _mean_of(values: Numbers) -> Measure:
    def mean(counts: Numbers) -> Numbers:
        total = counts.sum(axis=1)
        return np.asarray(np.divide(counts @ values, total, out=np.full(len(total), np.nan), where=total > 0))

    return mean


def _pairs(count: Numbers) -> Numbers:
    return count * (count - 1) / 2


def classified(classes: Sequence[str], labels: Indices, probabilities: Numbers) -> tuple[Classified, tuple[str, ...]]:
    """Return predictions of classes that can be scored, and what must be said of them.

    Raises
    ------
    UnusableFoldError
        When all cases are of one class.
    """
    present = len(np.unique(labels))
    if present < 2:
        raise UnusableFoldError(f"the {len(labels)} test cases are all of one class")
    absent = len(classes) - present
    note = f"{absent} of {len(classes)} classes have no test case and do not count"
    return Classified(tuple(classes), labels, probabilities), (note,) if absent else ()


def survived(times: Numbers, events: npt.NDArray[np.bool_], risks: Numbers) -> Survived:
    """Return risks that can be scored.

    Raises
    ------
    UnusableFoldError
        When no two cases can be compared.
    """
    told = Survived(times, events, risks, np.zeros(len(times), dtype=np.int64))
    if not np.isfinite(told.measures()["C-index"](np.ones((1, len(times))))).all():
        raise UnusableFoldError(f"no two of the {len(times)} test cases can be compared: nobody outlives an event")
    return told


def summarise(
    folds: Sequence[FoldScores], patients: npt.NDArray[np.str_], config: ScoreConfig, setting: str = ""
) -> tuple[Measured, ...]:
    """Return each measure as its mean over the folds, with an interval over patients.

    Patients are drawn again with all their cases, within strata of their class, or of whether their event was seen; of
    the fold too, where every case is tested once. A resample counts alike in every fold that tests its patients, and is
    worth the mean over the folds that it can score (our choice: Patho-Bench does so where there is one fold, with 100
    resamples, and gives mean and standard error over folds else).

    Parameters
    ----------
    folds
        Those that were tested.
    patients
        (cases,) the patient of each case of the study.
    config
        Of the resamples.
    setting
        As of `Measured`.

    Raises
    ------
    UnusableFoldError
        When there is no fold.
    """
    if not folds:
        raise UnusableFoldError("no fold could be tested")
    rows = np.concatenate([fold.rows for fold in folds])
    _, first, owners = np.unique(patients[rows], return_index=True, return_inverse=True)
    counts = resampled(_kinds(folds, rows)[first], config)
    parts = np.split(owners.reshape(-1), np.cumsum([len(fold.rows) for fold in folds])[:-1])
    values = [_values(fold.told, counts[:, part]) for fold, part in zip(folds, parts, strict=True)]
    found = []
    for name in values[0]:
        each = np.stack([of_fold[name] for of_fold in values])
        figure = figure_of(measures.mean_known(each), config.level)
        found.append(Measured(name, figure, tuple(map(float, each[:, 0])), len(np.unique(rows)), setting))
    return tuple(found)


def _kinds(folds: Sequence[FoldScores], rows: Indices) -> Indices:
    """Strata of the tested rows; apart for each fold where every case is tested once."""
    strata = [fold.told.strata() for fold in folds]
    if len(np.unique(rows)) < len(rows):
        return np.concatenate(strata)
    return np.concatenate([kinds * len(folds) + number for number, kinds in enumerate(strata)])


def _values(told: Predicted, counts: Numbers) -> dict[str, Numbers]:
    known = told.measures()
    wanted = [name for name in known if name in OF_CLASSES] if isinstance(told, Classified) else known
    return {name: known[name](counts) for name in wanted}

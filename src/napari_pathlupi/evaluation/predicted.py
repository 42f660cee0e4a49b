"""What was predicted and what is true, by kind; each kind knows its measures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from napari_pathlupi.evaluation import measures
from napari_pathlupi.evaluation.measures import Flags, Indices, Numbers

Measure = Callable[[Numbers], Numbers]
"""From counts (resamples, cases) to one number per resample, as in `napari_pathlupi.evaluation.measures`."""


@dataclass(frozen=True, slots=True, eq=False)
class Predicted(ABC):
    """Rows of predictions with their truth; every array has one row per prediction."""

    @abstractmethod
    def measures(self) -> Mapping[str, Measure]:
        """Return what is measured, by its name in every table."""

    @abstractmethod
    def strata(self) -> Indices:
        """Return groups within which rows are drawn again, so that every resample has cases of each kind."""

    def __len__(self) -> int:
        return max(len(value) for value in map(self._of, self._names()) if value is not None)

    def take(self, rows: Indices | Flags) -> Self:
        """Return some of the rows."""
        return self._each(lambda value: value[rows])

    def averaged(self, owners: Indices) -> Self:
        """Return one row per case, the mean of the predictions of several models for it; ``owners`` are 0, 1, 2 ..."""
        counts = np.bincount(owners)

        def mean(value: Numbers) -> Numbers:
            columns = value.reshape(len(value), -1).T
            means = np.stack([np.bincount(owners, weights=column) / counts for column in columns], axis=1)
            return means.reshape(len(counts), *value.shape[1:]).astype(value.dtype)

        return self._each(mean)

    def _names(self) -> list[str]:
        return [f.name for f in fields(self) if isinstance(self._of(f.name), np.ndarray)]

    def _of(self, name: str) -> Numbers:
        value: Numbers = getattr(self, name)
        return value

    def _each(self, change: Callable[[Numbers], Numbers]) -> Self:
        return replace(self, **{name: change(self._of(name)) for name in self._names()})


@dataclass(frozen=True, slots=True, eq=False)
class Classified(Predicted):
    """One of several classes.

    Parameters
    ----------
    classes
        Their names.
    labels
        (n,) index of the true class.
    probabilities
        (n, classes).
    sets
        (n, classes) which classes the conformal set holds; None without.
    """

    classes: tuple[str, ...]
    labels: Indices
    probabilities: Numbers
    sets: Flags | None = None

    @property
    def said(self) -> Indices:
        """(n,) index of the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def strata(self) -> Indices:
        return self.labels

    def averaged(self, owners: Indices) -> "Classified":
        """Return one row per case; the sets of single models say nothing of their mean and are left out."""
        return Predicted.averaged(replace(self, sets=None), owners)

    def measures(self) -> Mapping[str, Measure]:
        """Return those of two classes for the second; of more as the mean over the classes, each against the rest."""
        labels, chances, count = self.labels, self.probabilities, len(self.classes)
        table = _once(lambda counts: measures.confusion(labels, self.said, count, counts))
        found: dict[str, Measure] = self._areas()
        found |= {
            "Balanced accuracy": lambda counts: measures.balanced_accuracy(table(counts)),
            "F1 (macro)": lambda counts: measures.macro_f1(table(counts)),
            "Cohen's kappa": lambda counts: measures.kappa(table(counts)),
            "Cohen's kappa (quadratic)": lambda counts: measures.kappa(table(counts), quadratic=True),
            "Brier score": lambda counts: measures.brier(labels, chances, counts),
            "Calibration error (ECE)": lambda counts: measures.calibration_error(labels, chances, counts),
        }
        if self.sets is not None:
            held, size = self.sets[np.arange(len(labels)), labels].astype(float), self.sets.sum(axis=1).astype(float)
            found["Coverage of the sets"] = lambda counts: (counts @ held) / counts.sum(axis=1)
            found["Classes in a set"] = lambda counts: (counts @ size) / counts.sum(axis=1)
        return found

    def _areas(self) -> dict[str, Measure]:
        def of_class(measure: Callable[..., Numbers], k: int) -> Measure:
            return lambda counts: measure(self.labels == k, self.probabilities[:, k], counts)

        if len(self.classes) == 2:
            return {"AUROC": of_class(measures.auroc, 1), "AUPRC": of_class(measures.average_precision, 1)}
        rocs = [_once(of_class(measures.auroc, k)) for k in range(len(self.classes))]
        curves = [of_class(measures.average_precision, k) for k in range(len(self.classes))]
        each = {f"AUROC of {name}": roc for name, roc in zip(self.classes, rocs, strict=True)}
        return {"AUROC (macro one-vs-rest)": _mean(rocs), "AUPRC (macro one-vs-rest)": _mean(curves)} | each


@dataclass(frozen=True, slots=True, eq=False)
class Labelled(Predicted):
    """Several labels, each yes or no.

    Parameters
    ----------
    labels
        Their names.
    truth
        (n, labels) 0, 1 or NaN.
    probabilities
        (n, labels).
    sets
        (n, labels, 2) whether the conformal set of each label holds no, and yes; None without.
    """

    labels: tuple[str, ...]
    truth: Numbers
    probabilities: Numbers
    sets: Flags | None = None

    def averaged(self, owners: Indices) -> "Labelled":
        """Return one row per case, without sets, as of `Classified`."""
        return Predicted.averaged(replace(self, sets=None), owners)

    def strata(self) -> Indices:
        """Return one group: labels cannot all be kept at once."""
        return np.zeros(len(self.truth), dtype=np.int64)

    def measures(self) -> Mapping[str, Measure]:
        """Return areas and Brier score per label, and their means over the labels."""
        parts = {"AUROC": measures.auroc, "AUPRC": measures.average_precision, "Brier score": _squared}
        found: dict[str, Measure] = {}
        for what, measure in parts.items():
            each = [_once(self._of_label(measure, k)) for k in range(len(self.labels))]
            found[f"{what} (mean of labels)"] = _mean(each)
            found |= {f"{what} of {name}": one for name, one in zip(self.labels, each, strict=True)}
        if self.sets is not None:
            held = np.take_along_axis(self.sets, (self.truth == 1).astype(int)[..., None], axis=2)[..., 0]
            decided = self.sets.sum(axis=2) == 1
            for what, there in (("Coverage of the sets", held), ("Share of decided cases", decided)):
                each = [self._share(there[:, k], k) for k in range(len(self.labels))]
                found[f"{what} (mean of labels)"] = _mean(each)
                found |= {f"{what} of {name}": one for name, one in zip(self.labels, each, strict=True)}
        return found

    def _share(self, there: Flags, k: int) -> Measure:
        known = np.isfinite(self.truth[:, k])
        return _mean_of(there[known].astype(float), known)

    def _of_label(self, measure: Callable[..., Numbers], k: int) -> Measure:
        known = np.isfinite(self.truth[:, k])
        return lambda counts: measure(self.truth[known, k] == 1, self.probabilities[known, k], counts[:, known])


@dataclass(frozen=True, slots=True, eq=False)
class Valued(Predicted):
    """Values.

    Parameters
    ----------
    names
        Of the values.
    truth, values
        (n, values); NaN in the truth where unknown.
    unit
        Of all of them, "" for none.
    """

    names: tuple[str, ...]
    truth: Numbers
    values: Numbers
    unit: str = ""

    def strata(self) -> Indices:
        return np.zeros(len(self.truth), dtype=np.int64)

    def measures(self) -> Mapping[str, Measure]:
        """Return R², Pearson's correlation and the mean absolute error of each value."""
        parts = {
            "R²": measures.explained,
            "Pearson's r": measures.correlation,
            "Mean absolute error": measures.absolute_error,
        }
        several = len(self.names) > 1
        return {
            f"{what} of {name}" if several else what: self._of_value(measure, k)
            for k, name in enumerate(self.names)
            for what, measure in parts.items()
        }

    def _of_value(self, measure: Callable[..., Numbers], k: int) -> Measure:
        known = np.isfinite(self.truth[:, k])
        return lambda counts: measure(self.truth[known, k], self.values[known, k], counts[:, known])


@dataclass(frozen=True, slots=True, eq=False)
class Survived(Predicted):
    """Times until an event, or until nobody watched any more.

    Parameters
    ----------
    times, events
        (n,) time, and whether the event was seen then.
    risks
        (n,) higher is worse.
    groups
        (n,) which model said so: only risks of one model are compared.
    unit
        Of the times, "" where nobody says.
    """

    times: Numbers
    events: Flags
    risks: Numbers
    groups: Indices
    unit: str = ""

    def strata(self) -> Indices:
        return self.events.astype(np.int64)

    def averaged(self, owners: Indices) -> "Survived":
        """Return one row per case, all of one group."""
        return Predicted.averaged(replace(self, groups=np.zeros_like(self.groups)), owners)

    def measures(self) -> Mapping[str, Measure]:
        """Return Harrell's C-index."""

        def c_index(counts: Numbers) -> Numbers:
            return measures.concordance(self.times, self.events, self.risks, self.groups, counts)

        return {"C-index": c_index}


def _squared(positive: Flags, chances: Numbers, counts: Numbers) -> Numbers:
    return measures.brier(positive.astype(np.int64), np.stack([1 - chances, chances], axis=1), counts)


def _mean_of(values: Numbers, rows: Flags) -> Measure:
    def mean(counts: Numbers) -> Numbers:
        total = counts[:, rows].sum(axis=1)
        return np.asarray(np.divide(counts[:, rows] @ values, total, out=np.full(len(total), np.nan), where=total > 0))

    return mean


def _mean(parts: list[Measure]) -> Measure:
    return lambda counts: measures.mean_known(np.stack([part(counts) for part in parts]))


def _once(measure: Measure) -> Measure:
    """The same, which does not compute again what it was asked last."""
    last: list[tuple[Numbers, Numbers]] = []

    def remembered(counts: Numbers) -> Numbers:
        if not last or last[0][0] is not counts:
            last[:] = [(counts, measure(counts))]
        return last[0][1]

    return remembered

"""The cases of a study: what is known of each, which slides it has, and on which side of each split it stands.

A case is a patient. Everything here is per case, so a patient cannot stand on both sides of a split.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.folds import Folds, Rows, each_once
from napari_pathlupi.errors import TableError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is to be predicted, and which columns of a cohort table say it.

    Build it with `classification`, `multilabel`, `regression` or `survival`.

    Parameters
    ----------
    task
        Name in the catalogue of tasks: what a case's numbers mean. Classification: the index of the class. Multilabel:
        0 or 1 per label. Regression: the values. Survival (and cox, which reads the same): time, and 1 where the event
        was seen at that time or 0 where the case was censored then.
    columns
        Columns of the table; one number per column.
    classes
        Names of the classes in the order of their indices; empty: those of the table, in the order of the alphabet.
    rename
        Class of a value of the table, where that is another word (``{"MSI-L": "MSS"}``).
    one_is_censored
        Survival: the second column is 1 for a censored case (SurvPath, MCAT), not for one that died.
    unit
        Survival: unit of the times. Regression: unit of the value, if any.
    """

    task: str
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    one_is_censored: bool = False
    unit: str = ""

    @classmethod
    def classification(
        cls, column: str, classes: Sequence[str] = (), rename: Mapping[str, str] | None = None
    ) -> "Endpoint":
        """Return one class per case; a value of the table that is not among stated classes is no label."""
        return cls("classification", (column,), tuple(classes), dict(rename or {}))

    @classmethod
    def multilabel(cls, columns: Sequence[str]) -> "Endpoint":
        """Return several labels per case, each yes or no."""
        return cls("multilabel", tuple(columns))

    @classmethod
    def regression(cls, *columns: str, unit: str = "") -> "Endpoint":
        """Return one value per column."""
        return cls("regression", columns, unit=unit)

    @classmethod
    def survival(cls, time: str, *, event: str = "", censorship: str = "", unit: str = "") -> "Endpoint":
        """Return a time and whether the event was seen then.

        Parameters
        ----------
        time
            Column of the times.
        event, censorship
            The column that says how it ended, by what its 1 means: the event (death), or censoring. State one of them.
        unit
            "days", "months" or "years"; empty where the column's name says it.

        Raises
        ------
        TableError
            When not exactly one of event and censorship is stated, or their column is named for the opposite.
        """
        if bool(event) == bool(censorship):
            raise TableError(
                "state what a 1 in the column of outcomes means: event = its name where 1 is the event (died), "
                "censorship = its name where 1 is censored (SurvPath, MCAT); one of the two."
            )
        if event.lower().startswith("cens"):
            raise TableError(
                f"the column {event} is stated to be 1 for the event, and is named for the opposite: write "
                f"censorship = {event!r} if 1 is a censored case, or rename the column."
            )
        unit = unit or next((word for word in TIME_UNITS if word.rstrip("s") in time.lower()), "")
        if unit not in TIME_UNITS:
            raise TableError(f"the times in the column {time} have no unit: state days, months or years.")
        return cls("survival", (time, event or censorship), one_is_censored=bool(censorship), unit=unit)


TIME_UNITS = ("days", "months", "years")
_TCGA = re.compile(r"TCGA[-.]\w\w[-.]\w{4}(?![^-.])", re.IGNORECASE)


def case_of(name: str) -> str:
    """Return the case that a name stands for: of a TCGA barcode the patient, its first twelve characters.

    R writes dots for the dashes of a barcode; they become dashes again.
    """
    return name[:12].upper().replace(".", "-") if _TCGA.match(name) else name


@dataclass(frozen=True, slots=True)
class Case:
    """A patient.

    Parameters
    ----------
    name
        As in every table; of a TCGA barcode its first twelve characters.
    wanted
        What is known of it, one number per column of the endpoint, NaN where unknown.
    slides
        Its slides or bags as the table names them.
    site
        Where its tissue comes from, "" where nobody says.
    """

    name: str
    wanted: tuple[float, ...] = ()
    slides: tuple[str, ...] = ()
    site: str = ""

    @property
    def labelled(self) -> bool:
        """Whether anything is known of it that a task can learn from."""
        return any(np.isfinite(self.wanted))


@dataclass(frozen=True, slots=True)
class Cohort:
    """The cases of a study, each once.

    Parameters
    ----------
    cases
        In the order of the table.
    endpoint
        What is to be predicted; its classes are resolved.
    folds
        What the table's own columns say of a split; None where it has none.
    notes
        What was read, done and left out, a sentence each.
    source
        Name of the table.
    """

    cases: tuple[Case, ...]
    endpoint: Endpoint
    folds: Folds | None = None
    notes: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        each_once(self.names)

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the cases, in order."""
        return tuple(case.name for case in self.cases)

    @property
    def wanted(self) -> npt.NDArray[np.float64]:
        """(cases, columns) what is known, NaN where unknown, as the endpoint's task reads it."""
        return np.array([case.wanted for case in self.cases], dtype=np.float64).reshape(
            len(self.cases), len(self.endpoint.columns)
        )

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(cases,) whether anything is known that a task can learn from."""
        return np.array([case.labelled for case in self.cases], dtype=bool)

    def only(self, rows: Iterable[int]) -> "Cohort":
        """Return the cohort of these cases, with their part of the split."""
        cases = tuple(self.cases[int(row)] for row in rows)
        folds = None if self.folds is None else self.folds.of([case.name for case in cases])
        return replace(self, cases=cases, folds=folds)

    def pairing(self, with_expression: Iterable[str]) -> "Pairing":
        """Return who has what, given the cases of an expression table.

        Raises
        ------
        TableError
            When the table has cases, and none of this cohort.
        """
        measured = set(with_expression)
        if measured and not measured.intersection(self.names):
            raise TableError(
                f"none of the {len(measured)} cases of the expression table ({min(measured)} ...) is in {self.source} "
                f"({self.names[0]} ...): both must name the patients alike."
            )
        rna = np.array([name in measured for name in self.names], dtype=bool)
        slides = np.array([bool(case.slides) for case in self.cases], dtype=bool)
        return Pairing(self.names, slides, self.labelled, rna, len(measured - set(self.names)))


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """Which cases have slides, labels and expression; partly paired cohorts are normal.

    Parameters
    ----------
    names
        The cases.
    has_slides, has_label, has_rna
        (cases,) each.
    rna_elsewhere
        Cases of the expression table that are not in the cohort.
    """

    names: tuple[str, ...]
    has_slides: npt.NDArray[np.bool_]
    has_label: npt.NDArray[np.bool_]
    has_rna: npt.NDArray[np.bool_]
    rna_elsewhere: int = 0

    @property
    def usable(self) -> Rows:
        """Rows of the cases that train something: a slide, and a label or expression."""
        return np.flatnonzero(self.has_slides & (self.has_label | self.has_rna))

    @property
    def words(self) -> str:
        """Counts both ways, in a sentence."""
        slides, label, rna = self.has_slides, self.has_label, self.has_rna
        return (
            f"{len(self.names)} cases, {slides.sum()} with slides: {(slides & label & rna).sum()} with label and RNA, "
            f"{(slides & label & ~rna).sum()} with label but no RNA (train the task only), "
            f"{(slides & ~label & rna).sum()} with RNA but no label (train the molecular objective only), "
            f"{(slides & ~label & ~rna).sum()} with neither (not used); without a slide (not used) "
            f"{(~slides & label).sum()} with a label and {(~slides & rna).sum()} with RNA; "
            f"{self.rna_elsewhere} cases of the expression table are not in the cohort."
        )

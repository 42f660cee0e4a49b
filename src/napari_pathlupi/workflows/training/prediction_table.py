"""Tables of predictions, as `pathlupi train` writes them and anybody can, beside what is true of the cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import TIME_UNITS, Cohort, Endpoint, case_of
from napari_pathlupi.core.labels import YES_NO
from napari_pathlupi.core.tables import Cells, read_cells
from napari_pathlupi.errors import TableError
from napari_pathlupi.evaluation.clinical import ClinicalColumn
from napari_pathlupi.evaluation.predicted import Classified, Labelled, Predicted, Survived, Valued
from napari_pathlupi.evaluation.scoring import Predictions
from napari_pathlupi.workflows.cases.cohort_table import CASE_COLUMNS, read_cohort

Numbers = npt.NDArray[np.float64]

PROBABILITY, VALUE, RISK, FOLD, SET, TIME_UNIT = "prob_", "value_", "risk", "fold", "set", "time_unit"
UNSTATED = "the unit of the table"
_SUM = 0.02
"""How far probabilities may be from summing to 1: they may have been written with two digits (our choice)."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Which columns of a cohort table say what is true.

    Parameters
    ----------
    column
        Column of the class of a case.
    time
        Survival: column of the times.
    event
        Survival: column of the outcome in which 1 is the event; "event" where no column is named.
    censorship
        Survival: column of the outcome in which 1 is censored, in place of that.
    unit
        Unit of times or values; of times also read from the cohort's column time_unit or the name of their column.
    """

    column: str = "label"
    time: str = "time"
    event: str = ""
    censorship: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if self.event and self.censorship:
            raise TableError("name the column of the outcome once: --event where 1 is the event, else --censorship.")


def read_predictions(
    table: str | Path, cohort: str | Path, truth: Truth | None = None
) -> tuple[Predictions, list[str]]:
    """Return a table of predictions with its truth, and what was read and left out, a sentence each.

    Parameters
    ----------
    table
        CSV, TSV or Parquet: ``case_id``, perhaps ``fold``, and ``prob_<class>`` for each class (perhaps ``set``, the
        classes of a conformal set with ``|`` between), ``prob_<label>`` for labels that have columns of their own in
        the cohort (perhaps ``set_<label>``: yes, no or yes|no), ``value_<name>``, or ``risk``. One row per case, or one
        per case and fold.
    cohort
        What is true of the cases, as `napari_pathlupi.workflows.cases.cohort_table.read_cohort` reads it.
    truth
        Which of its columns say so.

    Raises
    ------
    TableError
        When either cannot be read or they do not belong together; the message names line and column.
    """
    cells, truth = read_cells(table), truth or Truth()
    column = cells.find("", CASE_COLUMNS, "the case")
    if not column:
        raise TableError(f"{cells.name} has no column case_id: it has {', '.join(cells.frame.columns[:8])}.")
    known = read_cohort(cohort, _endpoint(cells, cohort, truth))
    place = {name: row for row, name in enumerate(known.names)}
    cases = [case_of(name) for name in cells.values(column)]
    folds = cells.values(fold) if (fold := cells.find("", (FOLD,), "the fold")) else [""] * len(cases)
    _must_be_once(cells, cases, folds)
    rows = [row for row, case in enumerate(cases) if case in place and known.labelled[place[case]]]
    _must_meet(cells, cases, known, rows)
    chosen = replace(cells, frame=cells.frame.iloc[rows])
    wanted = known.wanted[[place[cases[row]] for row in rows]]
    groups = np.unique([folds[row] for row in rows], return_inverse=True)[1]
    told = _told(chosen, known.endpoint, wanted, groups)
    predictions = Predictions(tuple(cases[row] for row in rows), tuple(folds[row] for row in rows), told)
    return predictions, [_counted(cells, set(cases), known, predictions), *cells.notes, *known.notes]


def clinical_columns(cohort: str | Path, names: Sequence[str], cases: Sequence[str]) -> list[ClinicalColumn]:
    """Return columns of a cohort table for these cases: numbers where all cells are, else words.

    Of a case with several rows the first that says something counts.

    Raises
    ------
    TableError
        When the table cannot be read, or has no such column.
    """
    cells = read_cells(cohort)
    of_case = [case_of(name) for name in cells.values(cells.find("", CASE_COLUMNS, "the case"))]
    found = []
    for asked in names:
        column = cells.find(asked, (), "what is known of the cases")
        said = {
            case: row
            for row, (case, cell) in reversed([*enumerate(zip(of_case, cells.values(column), strict=True))])
            if cell
        }
        values: Numbers | list[str]
        try:
            numbers = cells.numbers(column)
            values = np.array([numbers[said[case]] if case in said else np.nan for case in cases])
        except TableError:  # words
            values = [cells.values(column)[said[case]] if case in said else "" for case in cases]
        found.append(ClinicalColumn(column, values))
    return found


def _must_meet(cells: Cells, cases: Sequence[str], known: Cohort, rows: Sequence[int]) -> None:
    if not rows:
        raise TableError(
            f"none of the {len(set(cases))} cases of {cells.name} ({', '.join(cases[:3])} ...) has a label among the "
            f"{len(known)} cases of {known.source} ({', '.join(known.names[:3])} ...): are they named alike?"
        )


def _endpoint(cells: Cells, cohort: str | Path, truth: Truth) -> Endpoint:
    names = _named(cells, PROBABILITY)
    if names and truth.column.lower() not in map(str.lower, read_cells(cohort).frame.columns):
        there = read_cells(cohort).frame.columns
        if not set(names) <= set(there):
            raise TableError(
                f"{Path(cohort).name} has neither a column {truth.column!r} nor one for each of {', '.join(names)}: "
                "name the column of the label (--column)."
            )
        return Endpoint.multilabel(names)
    if names:
        return Endpoint.classification(truth.column, names)
    if values := _named(cells, VALUE):
        return Endpoint.regression(*values, unit=truth.unit)
    if RISK in cells.frame.columns:
        outcome = truth.censorship or truth.event or "event"
        unit = truth.unit or _unit(cohort, truth.time) or UNSTATED
        return Endpoint("survival", (truth.time, outcome), one_is_censored=bool(truth.censorship), unit=unit)
    raise TableError(
        f"{cells.name} has no predictions: columns prob_<class>, value_<name> or risk are needed, it has "
        f"{', '.join(cells.frame.columns[:8])}."
    )


def _unit(cohort: str | Path, time: str) -> str:
    """The unit of times that the table says in its column time_unit or in the name of the times."""
    cells = read_cells(cohort)
    column = cells.find("", (TIME_UNIT,), "the unit of the times")
    said = cells.values(column)[0] if column else time.lower()
    return next((word for word in TIME_UNITS if word.rstrip("s") in said), "")


def _named(cells: Cells, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in cells.frame.columns if name.startswith(prefix)]


def _must_be_once(cells: Cells, cases: Sequence[str], folds: Sequence[str]) -> None:
    first: dict[tuple[str, str], int] = {}
    for line, key in zip(cells.frame.index, zip(cases, folds, strict=True), strict=True):
        if key in first:
            of_fold = f" of the fold {key[1]}" if key[1] else ""
            raise TableError(
                f"{cells.name}, lines {first[key]} and {line}: the case {key[0]}{of_fold} is there twice; give one row "
                "per case, or one per case and fold."
            )
        first[key] = line


def _told(cells: Cells, endpoint: Endpoint, wanted: Numbers, groups: npt.NDArray[np.int64]) -> Predicted:
    if endpoint.task == "classification":
        chances = _probabilities(cells, endpoint.classes)
        _must_sum_to_1(cells, chances)
        labels = wanted[:, 0].astype(np.int64)
        return Classified(
            endpoint.classes, labels, chances / chances.sum(axis=1, keepdims=True), _sets(cells, endpoint)
        )
    if endpoint.task == "multilabel":
        return Labelled(
            endpoint.columns, wanted, _probabilities(cells, endpoint.columns), _sets_of_labels(cells, endpoint)
        )
    if endpoint.task == "regression":
        return Valued(
            endpoint.columns, wanted, _numbers(cells, [f"{VALUE}{name}" for name in endpoint.columns]), endpoint.unit
        )
    unit = "" if endpoint.unit == UNSTATED else endpoint.unit
    return Survived(wanted[:, 0], wanted[:, 1] == 1, _numbers(cells, [RISK])[:, 0], groups, unit)


def _probabilities(cells: Cells, names: Sequence[str]) -> Numbers:
    columns = [f"{PROBABILITY}{name}" for name in names]
    found = _numbers(cells, columns)
    rows, places = np.nonzero((found < 0) | (found > 1))
    if len(rows):
        raise TableError(
            f"{cells.name}, line {cells.frame.index[rows[0]]}, column {columns[places[0]]}: "
            f"{found[rows[0], places[0]]:g} is no probability; write numbers from 0 to 1."
        )
    return found


def _must_sum_to_1(cells: Cells, chances: Numbers) -> None:
    wrong = np.flatnonzero(np.abs(chances.sum(axis=1) - 1) > _SUM)
    if len(wrong):
        raise TableError(
            f"{cells.name}, line {cells.frame.index[wrong[0]]}: the probabilities of the classes sum to "
            f"{chances[wrong[0]].sum():.3f}, not to 1; if several labels may hold at once, give the cohort a column of "
            "0 and 1 for each."
        )


def _numbers(cells: Cells, columns: Sequence[str]) -> Numbers:
    found = np.stack([cells.numbers(column) for column in columns], axis=1)
    rows, places = np.nonzero(~np.isfinite(found))
    if len(rows):
        raise TableError(
            f"{cells.name}, line {cells.frame.index[rows[0]]}, column {columns[places[0]]}: nothing was predicted "
            "there; leave the row out or fill it."
        )
    return found


def _sets(cells: Cells, endpoint: Endpoint) -> npt.NDArray[np.bool_] | None:
    column = cells.find("", (SET,), "the conformal set")
    if not column:
        return None
    found = np.zeros((len(cells.frame), len(endpoint.classes)), dtype=bool)
    for row, cell in enumerate(cells.values(column)):
        for name in filter(None, cell.split("|")):
            if name not in endpoint.classes:
                raise TableError(
                    f"{cells.name}, line {cells.frame.index[row]}, column {column}: {name!r} is none of the classes "
                    f"{', '.join(endpoint.classes)}; write them with | between."
                )
            found[row, endpoint.classes.index(name)] = True
    return found


def _sets_of_labels(cells: Cells, endpoint: Endpoint) -> npt.NDArray[np.bool_] | None:
    columns, holds = [f"{SET}_{name}" for name in endpoint.columns], {word: pair for pair, word in YES_NO.items()}
    if not set(columns) <= set(cells.frame.columns):
        return None
    for column in columns:
        for line, cell in zip(cells.frame.index, cells.values(column), strict=True):
            if cell not in holds:
                raise TableError(f"{cells.name}, line {line}, column {column}: {cell!r} is none of {', '.join(holds)}.")
    return np.array([[holds[cell] for cell in cells.values(column)] for column in columns]).transpose(1, 0, 2)


def _counted(cells: Cells, cases: set[str], known: Cohort, predictions: Predictions) -> str:
    unlabelled = sum(case in cases for case, there in zip(known.names, known.labelled, strict=True) if not there)
    absent, left = len(cases - set(known.names)), len(set(known.names) - cases)
    parts = (
        f"{cells.name}: {len(cells.frame)} rows of {len(cases)} cases",
        f"{len(predictions.names)} are evaluated",
        *((f"{absent} are not in {known.source}",) if absent else ()),
        *((f"{unlabelled} have no label there",) if unlabelled else ()),
        *((f"{left} cases of {known.source} were not predicted",) if left else ()),
    )
    return f"{'; '.join(parts)}."

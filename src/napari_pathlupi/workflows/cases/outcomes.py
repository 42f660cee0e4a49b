"""What the cells of a table say of an endpoint, as the numbers a task reads."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.tables import Cells
from napari_pathlupi.errors import TableError

MOST_CLASSES = 40
"""So many different values are taken as classes without being asked (our choice; EBRAINS has 30)."""
SEVERAL = "|"
"""Between the classes of a set, in a table of predictions."""
_EVENT = {"dead", "deceased", "died", "death", "progression", "progressed", "recurred", "relapse", "event"}
_CENSORED = {"alive", "living", "censored", "no event", "disease free", "diseasefree", "progression free"}
_YES = {"yes", "y", "ja", "true", "positive", "pos", "+", "mutated", "mut", "mutant", "altered", "1"}
_NO = {"no", "n", "nein", "false", "negative", "neg", "-", "wild type", "wildtype", "wt", "unaltered", "0"}
"""Words that can mean one thing only; of a cBioPortal status ("1:DECEASED") the number counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What each row of a table says.

    Parameters
    ----------
    endpoint
        As asked for, with its classes resolved.
    values
        (rows, columns) NaN where unknown.
    notes
        What was not taken as a label.
    """

    endpoint: Endpoint
    values: npt.NDArray[np.float64]
    notes: tuple[str, ...]


def outcomes_of(cells: Cells, endpoint: Endpoint) -> Outcomes:
    """Return what a table says of an endpoint.

    Raises
    ------
    TableError
        When a column is absent or a cell cannot be understood; it names line and column.
    """
    columns = tuple(cells.find(column, (), f"the endpoint ({endpoint.task})") for column in endpoint.columns)
    endpoint = replace(endpoint, columns=columns)
    if not columns:
        return Outcomes(endpoint, np.zeros((len(cells.frame), 0)), ())
    if endpoint.task == "classification":
        return _classes(cells, endpoint)
    if endpoint.task == "survival":
        return _survival(cells, endpoint)
    if endpoint.task == "multilabel":
        values = np.stack([_yes_or_no(cells, column) for column in columns], axis=1)
    else:
        values = np.stack([cells.numbers(column) for column in columns], axis=1)
    return Outcomes(endpoint, values, ())


def in_words(endpoint: Endpoint, wanted: npt.NDArray[np.float64]) -> str:
    """Return what is known of the cases of a cohort, counted."""
    if not endpoint.columns:
        return "No label was asked for."
    if endpoint.task == "classification":
        counts = [f"{name} {int((wanted[:, 0] == k).sum())}" for k, name in enumerate(endpoint.classes)]
        return f"Cases per class of {endpoint.columns[0]}: {', '.join(counts)}."
    if endpoint.task == "survival":
        known = wanted[np.isfinite(wanted).all(axis=1)]
        meaning = "a censored case" if endpoint.one_is_censored else "the event"
        return (
            f"In {endpoint.columns[1]} a 1 is {meaning}, as stated: {int(known[:, 1].sum())} of {len(known)} cases "
            f"with a time have the event. Times are in {endpoint.unit}."
        )
    counts = [f"{column} {int(np.isfinite(wanted[:, k]).sum())}" for k, column in enumerate(endpoint.columns)]
    return f"Known, of {len(wanted)} cases: {', '.join(counts)}."


def _classes(cells: Cells, endpoint: Endpoint) -> Outcomes:
    (column,) = endpoint.columns
    found = [re.sub(r"^([+-]?\d+)\.0+$", r"\1", _spaced(value)) for value in cells.values(column)]
    rename = {_spaced(value): _spaced(name) for value, name in endpoint.rename.items()}
    endpoint = replace(endpoint, classes=tuple(map(_spaced, endpoint.classes)))
    said = [rename.get(value, value) for value in found]
    counts = Counter(value for value in said if value)
    if not endpoint.classes:
        _spelt_alike(cells, column, said)
    classes = endpoint.classes or tuple(sorted(counts, key=_in_order))
    if len(set(classes) & set(counts)) < 2:
        raise TableError(
            f"{cells.name}, column {column}: at least two classes are needed"
            f"{' of ' + ', '.join(endpoint.classes) if endpoint.classes else ''}, found "
            f"{', '.join(list(counts)[:8]) or 'no label at all'}."
        )
    if not endpoint.classes and len(classes) > min(MOST_CLASSES, max(10, sum(counts.values()) / 3)):
        raise TableError(
            f"{cells.name}, column {column}: {len(classes)} different values in {sum(counts.values())} rows are no "
            "classes; name the column of the label, or state the classes."
        )
    _writable(cells, column, classes)
    index = {name: number for number, name in enumerate(classes)}
    values = np.array([[index.get(value, np.nan)] for value in said], dtype=np.float64)
    other = {value: count for value, count in counts.items() if value not in index}
    notes: tuple[str, ...] = ()
    if other:
        words = ", ".join(f"{name} {count}" for name, count in list(other.items())[:8]) + ", ..." * (len(other) > 8)
        notes = (f"{sum(other.values())} rows are of no class asked for, so taken as unlabelled: {words}.",)
    return Outcomes(replace(endpoint, classes=classes), values, notes)


def groups_of(endpoint: Endpoint, wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return (cases,) the group of each training case that informative genes must tell apart, NaN where unknown.

    The class, or the pattern of labels; of a survival 1 for an event before the median time of events and 0 for who was
    seen beyond it, as G-HANet has it (its two earlier of four bins); of values, above their median or not (our choice).
    """
    known = np.isfinite(wanted).all(axis=1)
    groups = np.full(len(wanted), np.nan)
    if endpoint.task == "survival":
        times, events = wanted[:, 0], wanted[:, 1]
        middle = np.median(times[known & (events == 1)])
        groups[known & (times >= middle)] = 0.0
        groups[known & (times < middle) & (events == 1)] = 1.0
    elif endpoint.task == "regression":
        groups[known] = wanted[known, 0] > np.median(wanted[known, 0])
    elif known.any():
        groups[known] = np.unique(wanted[known], axis=0, return_inverse=True)[1].reshape(-1)
    return groups


def _spelt_alike(cells: Cells, column: str, said: Sequence[str]) -> None:
    spelt: dict[str, str] = {}
    for line, name in zip(cells.frame.index, said, strict=True):
        if (first := spelt.setdefault(name.casefold(), name)) != name:
            raise TableError(
                f"{cells.name}, line {line}, column {column}: the classes {first!r} and {name!r} differ in capitals "
                "only; write them alike, or state the classes."
            )


def _spaced(name: str) -> str:
    """A name with single spaces and no line break, as names of columns are read."""
    return " ".join(name.split())


def _writable(cells: Cells, column: str, classes: Sequence[str]) -> None:
    """Refuse a name that the column of sets in a table of predictions could not hold."""
    for name in classes:
        if SEVERAL in name:
            raise TableError(
                f"{cells.name}, column {column}: the class {name!r} has a {SEVERAL} in its name, which stands between "
                "the names of a set in tables of predictions; write another sign, or give it a name with task.rename."
            )


def _in_order(name: str) -> tuple[bool, float, str]:
    number = re.fullmatch(r"[+-]?\d+", name)
    return number is None, float(name) if number else 0.0, name


def _survival(cells: Cells, endpoint: Endpoint) -> Outcomes:
    time_column, status_column = endpoint.columns
    times, status = cells.numbers(time_column), _status(cells, endpoint)
    unknown = ~(np.isfinite(status) & (times > 0))
    impossible, values = np.flatnonzero(times <= 0), np.stack([times, status], axis=1)
    values[unknown] = np.nan
    if not np.isfinite(values).any() or (values[~unknown, 1] == 0).all():
        raise TableError(f"{cells.name}, columns {time_column} and {status_column}: no row has a time and an event.")
    if not len(impossible):
        return Outcomes(endpoint, values, ())
    first = impossible[0]
    left = (
        f"{len(impossible)} rows with a time of 0 or less are taken as unlabelled, the first in line "
        f"{cells.frame.index[first]} ({times[first]:g} {endpoint.unit})."
    )
    return Outcomes(endpoint, values, (left,))


def _status(cells: Cells, endpoint: Endpoint) -> npt.NDArray[np.float64]:
    """(rows,) 1 where the event was seen, 0 where censored."""
    column = endpoint.columns[1]
    found = np.full(len(cells.frame), np.nan)
    for row, value in enumerate(cells.values(column)):
        number = re.fullmatch(r"([01])(\.0*)?(:.*)?", value)
        word = value.lower()
        if number:
            opposite = endpoint.one_is_censored and not number[3]
            found[row] = 1.0 - float(number[1]) if opposite else float(number[1])
        elif word in _EVENT or word in _CENSORED:
            found[row] = float(word in _EVENT)
        elif value:
            raise _unclear(cells, row, column, "0 or 1, or words like Dead and Alive")
    return found


def _yes_or_no(cells: Cells, column: str) -> npt.NDArray[np.float64]:
    found = np.full(len(cells.frame), np.nan)
    meaning: Mapping[str, float] = {**dict.fromkeys(_YES, 1.0), **dict.fromkeys(_NO, 0.0)}
    for row, value in enumerate(cells.values(column)):
        word = re.sub(r"\.0+$", "", value.lower())
        if value and word not in meaning:
            raise _unclear(
                cells, row, column, "0 or 1, or words like yes and no, positive and negative, mutated and WT"
            )
        found[row] = meaning.get(word, np.nan)
    return found


def _unclear(cells: Cells, row: int, column: str, right: str) -> TableError:
    return TableError(
        f"{cells.name}, line {cells.frame.index[row]}, column {column}: {cells.frame[column].iloc[row]!r} is not "
        f"understood; write {right}, and leave the cell empty where nothing is known."
    )

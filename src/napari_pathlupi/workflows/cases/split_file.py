"""Official splits, from the files that other projects publish."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import Cohort, case_of
from napari_pathlupi.core.folds import Folds, Role
from napari_pathlupi.core.tables import Cells, read_cells
from napari_pathlupi.errors import TableError

_CASE = ("case_id", "case", "patient_id", "id")
_ROLES: Mapping[str, Role] = {
    **dict.fromkeys(("train", "training"), Role.TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "tune"), Role.VALIDATION),
    **dict.fromkeys(("test", "testing"), Role.TEST),
    **dict.fromkeys(("", "missing", "unused"), Role.UNUSED),
}


def read_split(path: str | Path, cohort: Cohort) -> Folds:
    """Return an official split for the cases of a cohort.

    Three forms are understood: one row per case or slide and a column per fold that holds train, val and test
    (Patho-Bench's k=all.tsv, the TCGA folds of PathLUPI); one column with the number of the fold that tests the case;
    columns train, val and perhaps test that list cases (SurvPath's splits_0.csv; give their folder for all folds). A
    fold without any test case is tested on its val cases, as those authors do. Unlabelled cases that the split does not
    name train in every fold, so that their expression can be learned from, and are not used where it tests them;
    labelled ones that it does not name are not used.

    Raises
    ------
    TableError
        When it cannot be read, puts a case on two sides, or names no case of the cohort.
    """
    path = Path(path)
    files = sorted(path.glob("*.csv"), key=_number) if path.is_dir() else [path]
    if not files:
        raise TableError(f"the folder {path} holds no split: CSV files with columns train and val are needed.")
    tables = [read_cells(file) for file in files]
    lists = [_lists(cells) for cells in tables]
    if all(lists):
        folds = _from_lists(lists, path.name)
    elif len(tables) == 1:
        cells = tables[0]
        column = cells.find("", _CASE, "the case")
        if not column:
            raise TableError(f"{cells.name} has no column case_id, nor columns train and val: it is no split we know.")
        rows_of: dict[str, list[int]] = {}
        for row, name in enumerate(cells.frame[column]):
            rows_of.setdefault(case_of(name), []).append(row)
        found = folds_of_columns(cells, rows_of, "")
        if found is None:
            raise TableError(f"{cells.name} has no column fold, fold_0 …: it is no split we know.")
        folds = found
    else:
        raise TableError(
            f"the folder {path} holds other tables than splits: give the file, or a folder of splits only."
        )
    return _for_cohort(folds, cohort)


def _for_cohort(folds: Folds, cohort: Cohort) -> Folds:
    known = set(folds.cases)
    aligned = folds.of(cohort.names)
    named = np.array([name in known for name in cohort.names], dtype=bool)
    if not named.any():
        raise TableError(
            f"the split ({folds.source}) names none of the {len(cohort)} cases of {cohort.source}: it has "
            f"{folds.cases[0]}, the table {cohort.names[0]}."
        )
    source = (
        f"{folds.source}; {named.sum()} of {len(cohort)} cases are in it, {(~named & cohort.labelled).sum()} labelled "
        f"ones are not and stay unused, {len(known - set(cohort.names))} of its cases are not in the table"
    )
    return with_unlabelled(replace(aligned, source=source), cohort.labelled)


def with_unlabelled(folds: Folds, labelled: npt.NDArray[np.bool_]) -> Folds:
    """Return the folds with unlabelled cases neither tested nor chosen by, and in training where no fold names them."""
    roles = folds.roles.copy()
    not_named = (roles == Role.UNUSED).all(axis=1)
    roles[~labelled[:, None] & np.isin(roles, (Role.TEST, Role.VALIDATION))] = Role.UNUSED
    roles[~labelled & not_named] = Role.TRAIN
    return replace(folds, roles=roles)


def folds_of_columns(cells: Cells, rows_of: Mapping[str, Sequence[int]], column: str) -> Folds | None:
    """Return the folds that columns of a table state, None where it has no such column.

    Parameters
    ----------
    cells
        The table.
    rows_of
        The rows of each case.
    column
        The column with the number of the fold that tests the case, or with its part; "" looks for fold_0, fold_1 …,
        then fold, then split.

    Raises
    ------
    TableError
        When a cell cannot be understood or the rows of a case disagree; it names line and column.
    """
    per_fold = sorted((name for name in cells.frame.columns if re.fullmatch(r"(?i)fold[ _]?\d+", name)), key=_number)
    if per_fold and not column:
        return _from_roles(cells, rows_of, per_fold)
    column = cells.find(column, ("fold", "split"), "the fold")
    if not column:
        return None
    values = cells.values(column)
    if all(value.lower() in _ROLES for value in values):
        return _from_roles(cells, rows_of, [column])
    texts = [re.sub(r"\.0+$", "", value) for value in values]
    tested = [_one(cells, rows, texts, column) for rows in rows_of.values()]
    names = sorted({text for text in tested if text}, key=lambda text: (_number(text), text))
    if len(names) < 2 or len(names) > max(20, len(tested) // 2):
        raise TableError(f"{cells.name}, column {column}: {len(names)} different values are no numbers of folds.")
    roles = np.full((len(tested), len(names)), Role.TRAIN, dtype=np.int8)
    for row, text in enumerate(tested):
        if text:
            roles[row, names.index(text)] = Role.TEST
    return Folds(tuple(rows_of), roles, f"the column {column} of {cells.name} names the fold that tests a case")


def _from_roles(cells: Cells, rows_of: Mapping[str, Sequence[int]], columns: Sequence[str]) -> Folds:
    roles = np.zeros((len(rows_of), len(columns)), dtype=np.int8)
    for fold, column in enumerate(columns):
        texts = [value.lower() for value in cells.values(column)]
        for row, rows in enumerate(rows_of.values()):
            text = _one(cells, rows, texts, column)
            if text not in _ROLES:
                raise TableError(
                    f"{cells.name}, line {cells.frame.index[rows[0]]}, column {column}: {text!r} is none of train, val "
                    "and test."
                )
            roles[row, fold] = _ROLES[text]
    return _tested(Folds(tuple(rows_of), roles, _source(len(columns), cells.name)))


def _one(cells: Cells, rows: Sequence[int], texts: Sequence[str], column: str) -> str:
    other = next((row for row in rows if texts[row] != texts[rows[0]]), None)
    if other is not None:
        lines = f"{cells.frame.index[rows[0]]} and {cells.frame.index[other]}"
        raise TableError(
            f"{cells.name}, lines {lines}, column {column}: the rows of one case are on two sides ({texts[rows[0]]!r}, "
            f"{texts[other]!r}); all slides of a patient must be on one."
        )
    return texts[rows[0]]


def _lists(cells: Cells) -> dict[Role, list[str]]:
    """Cases by role, of a table with columns train and val or test; empty for another table."""
    columns = {_ROLES[name.lower()]: name for name in cells.frame.columns if name.lower() in _ROLES}
    if Role.TRAIN not in columns or len(columns) < 2 or cells.find("", _CASE, "the case"):
        return {}
    return {role: [case_of(name) for name in cells.values(column) if name] for role, column in columns.items()}


def _from_lists(lists: Sequence[Mapping[Role, Sequence[str]]], name: str) -> Folds:
    cases = tuple(dict.fromkeys(case for of_fold in lists for role in of_fold for case in of_fold[role]))
    place = {case: row for row, case in enumerate(cases)}
    roles = np.zeros((len(cases), len(lists)), dtype=np.int8)
    for fold, of_fold in enumerate(lists):
        for role, members in of_fold.items():
            for case in members:
                if roles[place[case], fold] not in (Role.UNUSED, role):
                    raise TableError(f"the split {name}, fold {fold}: the case {case} is on two sides.")
                roles[place[case], fold] = role
    return _tested(Folds(cases, roles, _source(len(lists), name)))


def _source(folds: int, name: str) -> str:
    return f"{folds} {'fold' if folds == 1 else 'folds'} of {name}"


def _tested(folds: Folds) -> Folds:
    """The folds with their validation cases as test cases where a fold has no other."""
    roles = folds.roles.copy()
    without = ~(roles == Role.TEST).any(axis=0)
    roles[:, without] = np.where(roles[:, without] == Role.VALIDATION, Role.TEST, roles[:, without])
    if not without.any():
        return folds
    return replace(folds, roles=roles, source=f"{folds.source}, where val is what is tested, as there is no test")


def _number(name: str | Path) -> int:
    found = re.search(r"(\d+)\D*$", name.stem if isinstance(name, Path) else name)
    return int(found[1]) if found else -1

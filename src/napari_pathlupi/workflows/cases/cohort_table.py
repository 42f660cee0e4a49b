"""A cohort from the table that somebody keeps of it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import Case, Cohort, Endpoint, case_of
from napari_pathlupi.core.tables import Cells, read_cells
from napari_pathlupi.errors import TableError
from napari_pathlupi.workflows.cases.outcomes import Outcomes, in_words, outcomes_of
from napari_pathlupi.workflows.cases.split_file import folds_of_columns, with_unlabelled

CASE_COLUMNS = (
    *("case_id", "case", "patient_id", "patient id", "patient", "case_submitter_id", "submitter_id"),
    *("bcr_patient_barcode", "tcga participant barcode", "participant", "id"),
)
SLIDE_COLUMNS = ("slide_id", "slide", "bag_path", "bag", "wsi", "slide_path", "filename", "file")
SITE_COLUMNS = ("site", "tissue_source_site", "centre", "center", "hospital", "institution")
"""How the columns are called in tables of TCGA, cBioPortal, SurvPath, TRIDENT and Patho-Bench, or by us."""


@dataclass(frozen=True, slots=True)
class CohortColumns:
    """Which columns of a cohort table say what, besides the endpoint; empty means: as it is usually called.

    Parameters
    ----------
    case
        The patient.
    slide
        A slide or bag of it, one per row.
    site
        Where the tissue comes from.
    fold
        The fold that tests the case, or its part (train, val, test); Patho-Bench's fold_0, fold_1 … are found anyway.
    """

    case: str = ""
    slide: str = ""
    site: str = ""
    fold: str = ""


def read_cohort(path: str | Path, endpoint: Endpoint, columns: CohortColumns | None = None) -> Cohort:
    """Return the cohort of a CSV, TSV or Parquet table: one row per slide or per case.

    Rows of one case are joined; its labels, site and folds must agree. A TCGA barcode is cut to the patient, whose site
    is the fifth and sixth of its characters where no column gives it.

    Parameters
    ----------
    path
        The table.
    endpoint
        What is to be predicted, and which columns say it.
    columns
        Which columns say the rest.

    Raises
    ------
    TableError
        When it cannot be read, lacks a column, or a row cannot be understood; the message names line and column.
    """
    cells, columns = read_cells(path), columns or CohortColumns()
    names, case_column, case_note = _case_names(cells, columns)
    rows_of = _rows_by_case(cells, names, case_column)
    outcomes = outcomes_of(cells, endpoint)
    site_column = cells.find(columns.site, SITE_COLUMNS, "the site")
    sites = _sites(cells, rows_of, site_column)
    slides = _slides(cells, columns, rows_of)
    wanted = _wanted(cells, rows_of, outcomes)
    cases = tuple(
        Case(name, wanted=tuple(wanted[i]), slides=slides[i], site=sites[i]) for i, name in enumerate(rows_of)
    )
    folds = folds_of_columns(cells, rows_of, columns.fold)
    folds = folds and with_unlabelled(folds, np.array([case.labelled for case in cases], dtype=bool))
    notes = [in_words(outcomes.endpoint, wanted), *cells.notes, *case_note, *outcomes.notes]
    if folds is not None:
        notes.append(f"Folds: {folds.source}.")
    cohort = Cohort(cases, outcomes.endpoint, folds, tuple(notes), cells.name)
    return replace(cohort, notes=(_counted(cells, cohort), *cohort.notes))


def find_slides(cohort: Cohort, files: Iterable[str | Path]) -> Cohort:
    """Return the cohort with the files that hold the slides or bags of its cases in place of what its table names.

    A file belongs to the slide whose name, without folder and ending, is its own; where the table names no slide of a
    case, to the case whose name it has or begins with, up to a character that is no letter or digit. What is found and
    not found is said in the notes; a case without a file has no slides.

    Raises
    ------
    TableError
        When two files would be the same slide, or slides of two cases have one name.
    """
    by_stem: dict[str, str] = {}
    for file in sorted(map(str, files)):
        if (twice := by_stem.setdefault(_stem(file), file)) != file:
            raise TableError(f"{twice} and {file} would be the same slide: keep one of them in the folder.")
    owners = _owners(cohort)
    by_name = {case.name for case in cohort.cases if not case.slides}
    found: dict[str, list[str]] = {}
    nobodys = []
    for stem, file in by_stem.items():
        if owner := owners.get(stem) or _owner_by_name(stem, by_name):
            found.setdefault(owner, []).append(file)
        else:
            nobodys.append(stem)
    cases = tuple(replace(case, slides=tuple(found.get(case.name, ()))) for case in cohort.cases)
    without = [case.name for case in cases if not case.slides]
    slides = [slide for case in cohort.cases for slide in case.slides]
    absent = sorted(slide for slide in slides if not {_stem(slide), _own_name(slide)}.intersection(by_stem))
    note = (
        f"{len(by_stem) - len(nobodys)} of {len(by_stem)} files belong to {len(found)} of {len(cases)} cases; "
        f"{len(nobodys)} files belong to no case{some_of(nobodys)}, {len(without)} cases have no file{some_of(without)}"
        + (f", {len(absent)} slides of the table are not there{some_of(absent)}." if absent else ".")
    )
    return replace(cohort, cases=cases, notes=(*cohort.notes, note))


def some_of(names: Sequence[str]) -> str:
    """Return the first three names in brackets; "" of none."""
    return f" ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})" if names else ""


def _owners(cohort: Cohort) -> dict[str, str]:
    """The case of each slide by its name and, where that is nobody else's, by its name without ending."""
    pairs = [(slide, case.name) for case in cohort.cases for slide in case.slides]
    alike = Counter(_stem(slide) for slide, _ in pairs)
    named = {_own_name(slide): name for slide, name in pairs}
    for slide, name in pairs:
        if named[_own_name(slide)] != name:
            other = named[_own_name(slide)]
            raise TableError(f"a slide of {name} and one of {other} are both called {_own_name(slide)}: rename one.")
    by_stem = {_stem(slide): name for slide, name in pairs if alike[_stem(slide)] == 1}
    return by_stem | named


def _own_name(slide: str) -> str:
    return re.split(r"[\\/]", slide.rstrip("\\/"))[-1]


def _stem(slide: str) -> str:
    name = _own_name(slide)
    return re.sub(r"\.(ome\.)?(\w{1,5})$", "", name) if not name.endswith(".ome.zarr") else name[:-9]


def _owner_by_name(stem: str, names: set[str]) -> str:
    if case_of(stem) in names:
        return case_of(stem)
    ends = [match.start() for match in re.finditer(r"[^0-9A-Za-z]", stem)]
    return next((stem[:end] for end in reversed(ends) if stem[:end] in names), "")


def _case_names(cells: Cells, columns: CohortColumns) -> tuple[list[str], str, list[str]]:
    """Each row's case, the column it is from, and what to say of it."""
    column = cells.find(columns.case, CASE_COLUMNS, "the case")
    if column:
        return [case_of(name) for name in cells.frame[column]], column, []
    slide = cells.find(columns.slide, SLIDE_COLUMNS, "the slide")
    names = [case_of(name) for name in cells.frame[slide]] if slide else []
    if not names or any(len(name) != 12 or not name.startswith("TCGA-") for name in names):
        raise TableError(
            f"{cells.name} has no column that names the patient (case_id, patient_id …), only "
            f"{', '.join(cells.frame.columns[:8])}: say which it is, as one patient's slides must stay together."
        )
    return names, slide, [f"The cases are the patients of the TCGA barcodes in the column {slide}."]


def _rows_by_case(cells: Cells, names: Sequence[str], column: str) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    spelt: dict[str, str] = {}
    for row, name in enumerate(names):
        place = f"{cells.name}, line {cells.frame.index[row]}, column {column}"
        if not name:
            raise TableError(f"{place}: no case is named there.")
        if (other := spelt.setdefault(name.casefold(), name)) != name:
            raise TableError(f"{place}: the cases {other} and {name} differ in capitals only; write one patient alike.")
        rows.setdefault(name, []).append(row)
    return rows


def _slides(cells: Cells, columns: CohortColumns, rows_of: dict[str, list[int]]) -> list[tuple[str, ...]]:
    column = cells.find(columns.slide, SLIDE_COLUMNS, "the slide")
    if not column:
        return [()] * len(rows_of)
    values = cells.values(column)
    slides = [tuple(dict.fromkeys(values[row] for row in rows if values[row])) for rows in rows_of.values()]
    counts = Counter(slide for of_case in slides for slide in of_case)
    shared = next((slide for slide, count in counts.items() if count > 1), "")
    if shared:
        lines = [str(cells.frame.index[row]) for row, value in enumerate(values) if value == shared]
        raise TableError(
            f"{cells.name}, lines {' and '.join(lines)}, column {column}: the slide {shared} belongs to two cases; it "
            "would be learned from and tested on."
        )
    return slides


def _sites(cells: Cells, rows_of: dict[str, list[int]], column: str) -> list[str]:
    if not column:
        return [name[5:7] if name.startswith("TCGA-") and len(name) == 12 else "" for name in rows_of]
    spelt: dict[str, str] = {}
    values = [spelt.setdefault(value.casefold(), value) for value in cells.values(column)]
    return _agreed(cells, rows_of, values, column)


def _agreed(cells: Cells, rows_of: dict[str, list[int]], values: Sequence[str], column: str) -> list[str]:
    """What the rows of each case say, "" where none says anything."""
    found = []
    for name, rows in rows_of.items():
        said = [row for row in rows if values[row]]
        other = next((row for row in said if values[row] != values[said[0]]), None)
        if other is not None:
            first, second = said[0], other
            raise TableError(
                f"{cells.name}, lines {cells.frame.index[first]} and {cells.frame.index[second]}, column {column}: the "
                f"case {name} is {values[first]!r} and {values[second]!r}; a case has one value, so keep the right one."
            )
        found.append(values[said[0]] if said else "")
    return found


def _wanted(cells: Cells, rows_of: dict[str, list[int]], outcomes: Outcomes) -> npt.NDArray[np.float64]:
    """(cases, columns) what the rows of each case agree on."""
    wanted = np.full((len(rows_of), outcomes.values.shape[1]), np.nan)
    for k, column in enumerate(outcomes.endpoint.columns):
        said = ["" if np.isnan(value) else repr(float(value)) for value in outcomes.values[:, k]]
        shown = [text if value else "" for text, value in zip(cells.frame[column], said, strict=True)]
        try:
            agreed = _agreed(cells, rows_of, said, column)
        except TableError:
            _agreed(cells, rows_of, shown, column)  # names what stands in the table
            raise
        wanted[:, k] = [float(value) if value else np.nan for value in agreed]
    return wanted


def _counted(cells: Cells, cohort: Cohort) -> str:
    slides = sum(len(case.slides) for case in cohort.cases)
    several = sum(len(case.slides) > 1 for case in cohort.cases)
    named = f" with {slides} slides ({several} with several)" if slides else ""
    known, sites = int(cohort.labelled.sum()), len({case.site for case in cohort.cases if case.site})
    more = (f", {len(cohort) - known} not" * (known < len(cohort)), f", {sites} sites" * bool(sites))
    return f"{cells.name}: {len(cells.frame)} rows, {len(cohort)} cases{named}, {known} labelled{''.join(more)}."

"""Embeddings and what is known of their patients, brought together."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.cohort import Case, Cohort, Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.tables import read_cells
from napari_pathlupi.errors import MismatchError, SettingsError, TableError
from napari_pathlupi.workflows.cases.cohort_table import CASE_COLUMNS, find_slides, some_of
from napari_pathlupi.workflows.cases.outcomes import outcomes_of
from napari_pathlupi.workflows.cases.split_file import folds_of_columns

_KINDS = ("classification", "survival")


@dataclass(frozen=True, slots=True, eq=False)
class DownstreamCases:
    """Cases of a study with a vector and a label each.

    Parameters
    ----------
    cohort
        The cases, in this order.
    vectors
        (cases, dim) float32.
    patients
        (cases,) the patient of each: the case itself, unless every slide stands for itself.
    notes
        What belongs together and what does not, with counts both ways.
    """

    cohort: Cohort
    vectors: npt.NDArray[np.float32]
    patients: npt.NDArray[np.str_]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.cohort)

    @property
    def endpoint(self) -> Endpoint:
        """What is to be told from the vectors."""
        return self.cohort.endpoint

    @property
    def survival(self) -> bool:
        """Whether it is a time."""
        return self.endpoint.task == "survival"

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """(cases,) index of the class; of a survival, whether the event was seen."""
        return np.asarray(self.cohort.wanted[:, -1], dtype=np.int64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(cases,) of a survival."""
        return np.asarray(self.cohort.wanted[:, 0])


def read_slide_samples(path: str | Path, endpoint: Endpoint, slide: str, patient: str = "") -> Cohort:
    """Return the cohort of a table in which every slide stands for itself, as some tasks of Patho-Bench have it.

    Parameters
    ----------
    path
        The table, one row per slide.
    endpoint
        What is to be predicted.
    slide, patient
        Their columns; the patient's is found by its usual names. A case's site is its patient, so that splits that keep
        sites together keep patients together.

    Raises
    ------
    TableError
        When it cannot be read, or a slide is there twice; the message names line and column.
    """
    cells = read_cells(path)
    column = cells.find(slide, (), "the slide")
    names = cells.frame[column].to_list()
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if not name or name in rows_of:
            what = f"the slide {name} is there twice" if name else "no slide is named there"
            raise TableError(f"{cells.name}, line {cells.frame.index[row]}, column {column}: {what}.")
        rows_of[name] = [row]
    owner = cells.find(patient, CASE_COLUMNS, "the patient")
    patients = cells.values(owner) if owner else names
    outcomes = outcomes_of(cells, endpoint)
    cases = tuple(
        Case(name, tuple(outcomes.values[row]), (name,), patients[row] or name) for row, name in enumerate(names)
    )
    notes = [*cells.notes, *outcomes.notes]
    if not owner:
        notes.append("No column names the patient: each slide counts as one.")
    folds = folds_of_columns(cells, rows_of, "")
    return Cohort(cases, outcomes.endpoint, folds, tuple(notes), cells.name)


def join(embeddings: Embeddings, cohort: Cohort, by_slide: bool = False) -> DownstreamCases:
    """Return the labelled cases that have an embedding; a case with several slides gets the mean of theirs.

    An embedding belongs to the case whose name it has; else to that of the slide whose name it has, by the rule of
    `napari_pathlupi.workflows.cases.cohort_table.find_slides`.

    Parameters
    ----------
    embeddings, cohort
        What is brought together.
    by_slide
        Whether the cohort is of `read_slide_samples`.

    Raises
    ------
    MismatchError
        When no embedding belongs to a labelled case; the message counts both ways and gives examples.
    SettingsError
        When the endpoint is neither classes nor a survival.
    """
    if cohort.endpoint.task not in _KINDS:
        raise SettingsError(f"these protocols are for {' and '.join(_KINDS)}, not for {cohort.endpoint.task}.")
    rows_of = _rows_by_case(embeddings, cohort)
    kept = [row for row, case in enumerate(cohort.cases) if _known(case) and case.name in rows_of]
    matched = {name for row in kept for name in rows_of[cohort.cases[row].name]}
    without = [case.name for case in cohort.cases if _known(case) and case.name not in rows_of]
    unlabelled = [name for row, name in enumerate(embeddings.names) if row not in matched]
    counts = (
        f"{len(matched)} of {len(embeddings)} embeddings belong to {len(kept)} of {len(kept) + len(without)} labelled "
        f"cases; {len(unlabelled)} embeddings have no label{some_of(unlabelled)}, {len(without)} labelled cases no "
        f"embedding{some_of(without)}."
    )
    if not kept:
        raise MismatchError(f"{embeddings.source} and {cohort.source} do not belong together: {counts}")
    several = sum(len(rows_of[cohort.cases[row].name]) > 1 for row in kept)
    averaged = (f"{several} cases have several slides: the mean of their embeddings is taken.",) if several else ()
    vectors = np.stack([embeddings.mean_of(rows_of[cohort.cases[row].name]) for row in kept])
    patients = np.array([cohort.cases[row].site if by_slide else cohort.cases[row].name for row in kept])
    return DownstreamCases(cohort.only(kept), vectors, patients, (counts, *averaged, *embeddings.notes, *cohort.notes))


def _known(case: Case) -> bool:
    return bool(np.isfinite(case.wanted).all())


def _rows_by_case(embeddings: Embeddings, cohort: Cohort) -> dict[str, list[int]]:
    place = {name: row for row, name in enumerate(embeddings.names)}
    found = {name: [place[name]] for name in cohort.names if name in place}
    rest = [case for case in cohort.cases if case.name not in found]
    files = [f"{name}.h5" for name in embeddings.names if name not in found]  # an ending that may be taken off
    if rest and files:
        for case in find_slides(replace(cohort, cases=tuple(rest), folds=None), files).cases:
            if case.slides:
                found[case.name] = [place[file.removesuffix(".h5")] for file in case.slides]
    return found

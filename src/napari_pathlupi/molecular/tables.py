"""Expression tables as people have them, read into cases × genes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from napari_pathlupi.errors import TableError
from napari_pathlupi.molecular import units
from napari_pathlupi.molecular.axes import directed, of_patients, some, symbols_of
from napari_pathlupi.molecular.matrix import read_matrix

_MOST_EXTREME = 10.0


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How an expression table is to be read, where it does not show it itself.

    Parameters
    ----------
    unit
        One of log2(TPM+0.001) (Xena), log2(TPM+1), log2(x+1) (another sum), TPM, counts, z-score; empty: recognised
        where only one is possible.
    genes_in
        "columns" or "rows"; empty: where more names of genes stand.
    probe_map
        Table that gives the symbol (column gene, gene_name or symbol) of an Ensembl id (id, gene_id or probe).
    duplicates
        Several rows of a case: "mean", "first", or "refuse".
    clip
        z-scores beyond plus or minus this are set to it; 10 is our choice.
    """

    unit: str = ""
    genes_in: str = ""
    probe_map: str = ""
    duplicates: str = "mean"
    clip: float = _MOST_EXTREME

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("unit", self.unit, ("", *units.UNITS)),
            ("genes_in", self.genes_in, ("", "columns", "rows")),
            ("duplicates", self.duplicates, ("mean", "first", "refuse")),
        ):
            if value not in allowed:
                raise TableError(
                    f"{name} = {value!r} is not possible: it is one of {', '.join(filter(None, allowed))}."
                )


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """What was measured of each case.

    Parameters
    ----------
    table
        Cases × genes; symbols, each once; NaN where not measured.
    unit
        Of the numbers now: log2(TPM+1) from Xena's unit or TPM, log2(CPM+1) from counts, else as it was.
    read_as
        The unit of the file, and why it is taken to be this.
    notes
        What was done and left out, a sentence each.
    constant
        Genes that are the same in all cases, and so tell nothing.
    source
        Name of the file.
    """

    table: pd.DataFrame
    unit: str
    read_as: units.Recognised
    notes: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    source: str = ""

    @property
    def cases(self) -> tuple[str, ...]:
        """Who was measured."""
        return tuple(self.table.index)

    @property
    def genes(self) -> tuple[str, ...]:
        """What was measured."""
        return tuple(self.table.columns)

    def of(self, cases: Sequence[str]) -> pd.DataFrame:
        """Return the rows of these cases, NaN for one that was not measured."""
        return self.table.reindex(list(cases))


def read_expression(path: str | Path, options: ReadingOptions | None = None) -> Expression:
    """Return a table of expression as cases × genes, in a logarithm where its unit allows one.

    Cases × genes and genes × cases are told apart by their names, Ensembl ids become symbols through a probe map, TCGA
    barcodes patients: of several samples of one the primary tumour (01) is taken, else the tumour of the lowest code,
    and normal tissue (10 and above) never. Several rows of one case are averaged, of several rows of one gene the one
    with the highest mean is kept (MaxMean, Miller et al., BMC Bioinformatics 12:322, 2011). All else is our choice, and
    said in the notes.

    Raises
    ------
    TableError
        When the table cannot be read, or its unit, its direction or a cell is not clear.
    """
    options = options or ReadingOptions()
    matrix = read_matrix(path)
    notes = [f"{matrix.name}: {len(matrix.rows)} rows and {len(matrix.columns)} columns of numbers."]
    if matrix.left_out:
        notes.append(f"Columns that hold no expression were left out: {some(matrix.left_out)}.")
    if matrix.not_finite:
        notes.append(f"{matrix.not_finite} infinite values count as not measured.")
    if matrix.nameless:
        notes.append(f"{matrix.nameless} rows without a name were left out.")
    cases, genes, values = directed(matrix, options.genes_in, notes)
    genes, values = symbols_of(genes, values, options.probe_map, matrix.name, notes)
    cases, values = of_patients(cases, values, notes)
    read_as = units.Recognised(options.unit, "as stated") if options.unit else units.recognise(values, matrix.name)
    units.check(values, read_as.unit, matrix.name)
    values, unit, done = units.as_log2(values, read_as.unit)
    notes.append(f"Unit {read_as.unit} ({read_as.reason}): {done}.")
    table = pd.DataFrame(values, index=pd.Index(cases, name="case"), columns=list(genes))
    table = _each_case_once(_each_gene_once(table, notes), options.duplicates, matrix.name, notes)
    table = _measured(_clipped(table, read_as.unit, options.clip, notes), notes)
    constant = tuple(table.columns[(table.max() == table.min()).to_numpy()])
    if constant:
        notes.append(f"{len(constant)} genes are the same in all cases and tell nothing: {some(constant)}.")
    notes.append(f"{len(table)} cases × {table.shape[1]} genes in {unit}.")
    return Expression(table, unit, read_as, tuple(notes), constant, matrix.name)


def _each_gene_once(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    if table.columns.is_unique:
        return table
    twice = table.columns[table.columns.duplicated()].unique()
    means = table.mean(axis=0).fillna(-np.inf).to_numpy()
    order = np.argsort(-means, kind="stable")
    kept = np.sort(order[~table.columns[order].duplicated()])
    notes.append(
        f"{len(twice)} genes stand there more than once, the one with the highest mean was kept: {some(list(twice))}."
    )
    single: pd.DataFrame = table.iloc[:, kept]
    return single


def _each_case_once(table: pd.DataFrame, rule: str, name: str, notes: list[str]) -> pd.DataFrame:
    if table.index.is_unique:
        return table
    repeated: pd.DataFrame = table.loc[~(table.index.duplicated() & table.reset_index().duplicated().to_numpy())]
    twice = list(repeated.index[repeated.index.duplicated()].unique())
    if len(repeated) < len(table):
        notes.append(
            f"{len(table) - len(repeated)} rows repeat another of their case to the letter and were read once."
        )
    if not twice:
        return repeated
    if rule == "refuse":
        raise TableError(f"{len(twice)} cases have several different rows in {name}: {some(twice)}; keep one each.")
    words = "the mean of their rows was taken" if rule == "mean" else "the first of their rows was taken"
    notes.append(f"{len(twice)} cases have several different rows, {words}: {some(twice)}.")
    means: pd.DataFrame = repeated.groupby(level=0, sort=False).mean()
    return means if rule == "mean" else repeated.groupby(level=0, sort=False).head(1)


def _clipped(table: pd.DataFrame, unit: str, clip: float, notes: list[str]) -> pd.DataFrame:
    if unit != units.Z:
        return table
    values = table.to_numpy()
    beyond = np.abs(values) > clip
    if not beyond.any():
        return table
    row, column = divmod(int(np.nanargmax(np.abs(values))), values.shape[1])
    notes.append(
        f"{100 * beyond.mean():.2g} % of the z-scores lie beyond ±{clip:g} and were clipped to it, the largest "
        f"{values[row, column]:g} ({table.columns[column]} of {table.index[row]})."
    )
    return table.clip(-clip, clip)


def _measured(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    there = table.notna()
    genes, cases = there.any(axis=0), there.any(axis=1)
    for what, lost in (("genes", list(table.columns[~genes])), ("cases", list(table.index[~cases]))):
        if lost:
            notes.append(f"{len(lost)} {what} without any value were left out: {some(lost)}.")
    missing = int((~there.loc[cases, genes]).to_numpy().sum())
    if missing:
        notes.append(f"{missing} values are missing and stay so.")
    kept: pd.DataFrame = table.loc[cases, genes]
    return kept

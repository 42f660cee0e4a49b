"""A large table of numbers from a file, with the names of its rows and columns, and what in it is no number."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.core.tables import MISSING, Layout, is_parquet, layout_of, read_parquet
from napari_pathlupi.errors import TableError, reason_of

ROW_NAMES = (
    *("case_id", "case", "patient_id", "patient", "submitter_id", "bcr_patient_barcode"),
    *("gene_name", "hugo_symbol", "gene_symbol", "symbol", "gene", "gene_id", "name", "sample", "id", "probe"),
)
"""What a column of the rows' names may be called, the better first: a symbol needs no probe map."""
_NEARLY_NUMBER = re.compile(r"[+-]?\d+([.,' ]\d+){1,2}%?")
_COMMENT_ROW = re.compile(r"N_(unmapped|multimapping|noFeature|ambiguous)|__\w+")
"""Summary rows that STAR and HTSeq write among the genes."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Numbers and names as a file has them.

    Parameters
    ----------
    name
        Of the file.
    rows, columns
        Names, not yet told to be cases or genes.
    values
        (rows, columns) NaN where nothing is known.
    left_out
        Columns that hold text and so no expression.
    not_finite
        How many numbers were infinite, which is nothing known.
    nameless
        How many rows have no name, and were left out.
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]
    left_out: tuple[str, ...]
    not_finite: int
    nameless: int = 0


def read_matrix(path: str | Path) -> Matrix:
    """Return the numbers of a CSV, TSV, GCT or Parquet table, compressed or not.

    Raises
    ------
    TableError
        When it cannot be read, has no names of rows, or a cell among numbers is none; it names line and column.
    """
    path = Path(path)
    frame, header, first_line, decimal = _parquet(path) if is_parquet(path) else _text(path)
    if frame.empty:
        raise TableError(f"{path.name} has a header and no rows: give a row per case, or per gene.")
    texts = [i for i, kind in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    numbers: dict[int, Any] = {}
    for i in [i for i in texts if i and header[i].lower() not in ROW_NAMES]:
        converted = _numbers(frame.iloc[:, i], decimal, f"{path.name}, line {{}}, column {header[i]}", first_line)
        if converted is not None:
            texts.remove(i)
            numbers[i] = converted
    named = _names_of_rows(header, texts, path.name)
    numeric = sorted(set(range(frame.shape[1])).difference(texts))
    kept = [i for i in numeric if i != named and not _is_index(header[i], frame.iloc[:, i])]
    if not kept:
        raise TableError(f"{path.name} holds no numbers: give a table of expression, cases × genes or genes × cases.")
    plain = [place for place, i in enumerate(kept) if i not in numbers]
    values = np.empty((len(frame), len(kept)))
    values[:, plain] = frame.iloc[:, [kept[place] for place in plain]].to_numpy(dtype=np.float64, na_value=np.nan)
    for place in set(range(len(kept))).difference(plain):
        values[:, place] = numbers[kept[place]]
    column = frame.iloc[:, named]
    rows = column.astype(str).str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True).to_numpy()
    nameless = column.isna().to_numpy() | (rows == "")
    taken = ~nameless & np.array([_COMMENT_ROW.fullmatch(row) is None for row in rows], dtype=bool)
    infinite = np.isinf(values)
    values[infinite] = np.nan
    left_out = tuple(header[i] for i in sorted(set(range(frame.shape[1])).difference(kept, [named])))
    columns = tuple(header[i] for i in kept)
    counts = int(infinite.sum()), int(nameless.sum())
    return Matrix(path.name, tuple(rows[taken]), columns, values[taken], left_out, *counts)


def _names_of_rows(header: Sequence[str], texts: Sequence[int], table: str) -> int:
    """The column that names the rows: one that is called so, else the first of text."""
    called = {i: ROW_NAMES.index(name.lower()) for i, name in enumerate(header) if name.lower() in ROW_NAMES}
    if not called and not texts:
        raise TableError(f"{table} has no column of names (case_id, gene …), only numbers.")
    return min(called, key=lambda i: called[i]) if called else texts[0]


def _is_index(name: str, column: "pd.Series[Any]") -> bool:
    """Whether a column of numbers merely counts the rows, or describes a gene."""
    if name.lower() in ("entrez_gene_id", "entrezgene", "entrez", "length", "start", "end", "chromstart", "chromend"):
        return True
    return name in ("", "Unnamed: 0") and bool((column.diff().dropna() == 1).all())


def _text(path: Path) -> tuple[pd.DataFrame, list[str], int, str]:
    layout = layout_of(path)
    cells = [next(csv.reader([line], delimiter=layout.separator), []) for line in layout.sample]
    header, widths = list(layout.header), {len(row) for row in cells if row}
    if widths == {len(header) + 1} and header[0].lower() not in ROW_NAMES:  # R writes no name above the names of rows
        header = ["", *header]
    if widths and max(widths) > len(header):
        raise TableError(f"{path.name}: a row has {max(widths)} cells, the header {len(header)}; both must be alike.")
    decimal = _decimal(path, layout, cells)
    try:
        frame = pd.read_csv(
            path,
            sep=layout.separator,
            header=None,
            names=range(len(header)),
            skiprows=layout.before,
            encoding=layout.encoding,
            decimal=decimal,
            low_memory=False,
            index_col=False,
            skip_blank_lines=False,
        )
    except (OSError, EOFError, ValueError) as error:
        raise TableError(f"cannot read the table {path}: {reason_of(error)}.") from error
    while header and not header[-1] and frame.iloc[:, -1].isna().all():
        header, frame = header[:-1], frame.iloc[:, :-1]
    return frame, header, layout.before + 1, decimal


def _decimal(path: Path, layout: Layout, cells: Sequence[Sequence[str]]) -> str:
    if layout.separator == ",":
        return "."
    flat = [cell.strip() for row in cells for cell in row]
    commas = next((cell for cell in flat if re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell)), "")
    points = next((cell for cell in flat if re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", cell)), "")
    if commas and points:
        raise TableError(f"{path.name} holds {commas!r} and {points!r}: write decimals in one way only.")
    return "," if commas else "."


def _parquet(path: Path) -> tuple[pd.DataFrame, list[str], int, str]:
    frame = read_parquet(path)
    return frame, [str(column) for column in frame.columns], 1, "."


def _numbers(column: "pd.Series[Any]", decimal: str, place: str, first_line: int) -> npt.NDArray[np.float64] | None:
    """A column of text as numbers, if that is what it is meant to hold."""
    texts = column.astype(str).str.strip().str.lower()
    known = ~texts.isin(MISSING | {"none", "<na>"})
    if not known.any():
        return np.full(len(column), np.nan)
    plain = texts.str.replace(".", "?", regex=False).str.replace(",", ".", regex=False) if decimal == "," else texts
    found = pd.to_numeric(plain.where(known), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(known.to_numpy() & np.isnan(found))
    meant = 2 * len(wrong) <= known.sum() or any(_NEARLY_NUMBER.fullmatch(texts.iloc[i]) for i in wrong[:5])
    if len(wrong) and meant:
        raise TableError(
            f"{place.format(first_line + wrong[0])}: {column.iloc[wrong[0]]!r} is no number; write numbers like "
            f"12{decimal}5, and leave the cell empty where nothing was measured."
        )
    return None if len(wrong) else found

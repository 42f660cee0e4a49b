"""A large table of numbers from a file, with the names of its rows and columns, and what in it is no number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_pathlupi.core.tables import HEAD_BYTES, MISSING, Layout, bytes_of, is_parquet, layout_of
from napari_pathlupi.errors import TableError

ROW_NAMES = (
    *("case_id", "case", "patient_id", "patient", "submitter_id", "bcr_patient_barcode"),
    *("gene_name", "hugo_symbol", "gene_symbol", "symbol", "gene", "gene_id", "name", "sample", "id", "probe"),
)
"""What a column of the rows' names may be called, the better first: a symbol needs no probe map."""
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
    """

    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]
    left_out: tuple[str, ...]
    not_finite: int


def read_matrix(path: str | Path) -> Matrix:
    """Return the numbers of a CSV, TSV, GCT or Parquet table, compressed or not.

    Raises
    ------
    TableError
        When it cannot be read, has no names of rows, or a cell among numbers is none; it names line and column.
    """
    path = Path(path)
    frame, header, first_line = _parquet(path) if is_parquet(path) else _text(path)
    texts = [i for i, kind in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    numbers: dict[int, Any] = {}
    for i in list(texts):
        converted = _numbers(frame.iloc[:, i], path.name, header[i], first_line)
        if converted is not None:
            texts.remove(i)
            numbers[i] = converted
    if not texts:
        raise TableError(f"{path.name} has no column of names (case_id, gene …), only numbers.")
    named = min(texts, key=lambda i: ROW_NAMES.index(header[i].lower()) if header[i].lower() in ROW_NAMES else 99)
    numeric = sorted(set(range(frame.shape[1])).difference(texts))
    kept = [i for i in numeric if not _is_index(header[i], frame.iloc[:, i])]
    if not kept:
        raise TableError(f"{path.name} holds no numbers: give a table of expression, cases × genes or genes × cases.")
    plain = [place for place, i in enumerate(kept) if i not in numbers]
    values = np.empty((len(frame), len(kept)))
    values[:, plain] = frame.iloc[:, [kept[place] for place in plain]].to_numpy(dtype=np.float64, na_value=np.nan)
    for place in set(range(len(kept))).difference(plain):
        values[:, place] = numbers[kept[place]]
    rows = frame.iloc[:, named].astype(str).str.strip().to_numpy()
    genes = np.array([_COMMENT_ROW.fullmatch(row) is None for row in rows], dtype=bool)
    infinite = np.isinf(values)
    values[infinite] = np.nan
    left_out = tuple(header[i] for i in sorted(set(range(frame.shape[1])).difference(kept, [named])))
    columns = tuple(header[i] for i in kept)
    return Matrix(path.name, tuple(rows[genes]), columns, values[genes], left_out, int(infinite.sum()))


def _is_index(name: str, column: "pd.Series[Any]") -> bool:
    """Whether a column of numbers merely counts the rows, or describes a gene."""
    if name.lower() in ("entrez_gene_id", "entrezgene", "entrez", "length", "start", "end", "chromstart", "chromend"):
        return True
    return name in ("", "Unnamed: 0") and bool((column.diff().dropna() == 1).all())


def _text(path: Path) -> tuple[pd.DataFrame, list[str], int]:
    layout = layout_of(path)
    sample = bytes_of(path, HEAD_BYTES).decode(layout.encoding, errors="replace").splitlines()
    cells = [line.split(layout.separator) for line in sample[layout.skip + 1 : layout.skip + 6]]
    header = list(layout.header)
    if cells and len(cells[0]) == len(header) + 1:  # R writes no name above the names of its rows
        header = ["", *header]
    try:
        frame = pd.read_csv(
            path,
            sep=layout.separator,
            header=None,
            names=range(len(header)),
            skiprows=layout.skip + 1,
            encoding=layout.encoding,
            decimal=_decimal(path, layout, cells),
            low_memory=False,
            index_col=False,
        )
    except (OSError, EOFError, ValueError) as error:
        raise TableError(f"cannot read the table {path}: {str(error).strip()}.") from error
    while header and not header[-1] and frame.iloc[:, -1].isna().all():
        header, frame = header[:-1], frame.iloc[:, :-1]
    return frame, header, layout.skip + 2


def _decimal(path: Path, layout: Layout, cells: Sequence[Sequence[str]]) -> str:
    if layout.separator == ",":
        return "."
    flat = [cell.strip().strip('"') for row in cells for cell in row]
    commas = next((cell for cell in flat if re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell)), "")
    points = next((cell for cell in flat if re.fullmatch(r"[+-]?\d*\.\d+([eE][+-]?\d+)?", cell)), "")
    if commas and points:
        raise TableError(f"{path.name} holds {commas!r} and {points!r}: write decimals in one way only.")
    return "," if commas else "."


def _parquet(path: Path) -> tuple[pd.DataFrame, list[str], int]:
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read the table {path}: {error}.") from error
    if frame.index.name or not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    return frame, [str(column) for column in frame.columns], 1


def _numbers(column: "pd.Series[Any]", table: str, name: str, first_line: int) -> npt.NDArray[np.float64] | None:
    """A column of text as numbers if that is what it mostly holds."""
    texts = column.astype(str).str.strip().str.lower()
    known = ~texts.isin(MISSING | {"none", "<na>"})
    found = pd.to_numeric(texts.where(known), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(known.to_numpy() & np.isnan(found))
    if not known.any() or 2 * len(wrong) > known.sum():
        return None if known.any() else found
    if len(wrong):
        raise TableError(
            f"{table}, line {first_line + wrong[0]}, column {name}: {column.iloc[wrong[0]]!r} is no number; write "
            "numbers like 12.5, and leave the cell empty where nothing was measured."
        )
    return found

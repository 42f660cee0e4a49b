"""Tables as people save them: which encoding, separator and decimal sign, and every cell with its line and column."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from lzma import LZMAError
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import TableError, reason_of

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "-", "--", ".", "?", "unknown", "not available", "not applicable",
     "not reported", "[not available]", "[not applicable]", "[unknown]", "[discrepancy]", "[not evaluated]")
)  # fmt: skip
"""Cells that mean "nothing is known", besides empty ones, in any case; those in brackets are TCGA's."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_PERHAPS_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
HEAD_BYTES = 1 << 22
"""So much of a table shows how it is written."""
_SHEETS = (".xlsx", ".xls", ".ods")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text table is written.

    Parameters
    ----------
    encoding
        As Python names it; a byte order mark is swallowed.
    separator
        Between cells.
    before
        Lines before the first row: comments, ``sep=;``, the two lines of a GCT, the header.
    header
        The cells of the header, on one line each.
    sample
        The first lines of rows.
    """

    encoding: str
    separator: str
    before: int
    header: tuple[str, ...]
    sample: tuple[str, ...]


def is_parquet(path: Path) -> bool:
    """Whether a file is to be read as Parquet, by its ending."""
    return path.suffix.lower() in (".parquet", ".pq")


def bytes_of(path: Path, most: int = -1) -> bytes:
    """Return a table's bytes, or so many of them, decompressed where its ending says so (.gz, .bz2, .xz, .zip).

    Raises
    ------
    TableError
        When there is no such file, it is damaged, or it is a spreadsheet.
    """
    import fsspec

    if path.suffix.lower() in _SHEETS:
        raise TableError(f"{path.name} is a spreadsheet: save the one sheet as CSV (UTF-8) and give that.")
    try:
        with fsspec.open(str(path), "rb", compression="infer") as stream:
            return bytes(stream.read(most))
    except (OSError, EOFError, ValueError, LZMAError, BadZipFile) as error:
        raise TableError(f"cannot read the table {path}: {reason_of(error)}.") from error


def layout_of(path: Path) -> Layout:
    """Return how a text table is written, from its beginning.

    Raises
    ------
    TableError
        When it is empty, binary or unreadable.
    """
    head = bytes_of(path, HEAD_BYTES)
    encoding = _encoding(head)
    lines = head.decode(encoding, errors="replace").splitlines()
    if not any(line.strip() for line in lines) or ("\0" in lines[0]):
        what = "no text" if head.strip() else "empty"
        raise TableError(f"{path.name} is {what}: give a CSV, TSV or Parquet file.")
    skip = _lines_before_header(lines)
    stated = next((line[4] for line in lines[:skip] if re.fullmatch(r"sep=.", line)), None)
    separator = stated or _separator(lines[skip : skip + 20])
    reader = csv.reader([line + "\n" for line in lines[skip:]], delimiter=separator)
    header = tuple(" ".join(cell.split()) for cell in next(reader))
    before = skip + reader.line_num
    return Layout(encoding, separator, before, header, tuple(lines[before : before + 5]))


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely cut in the middle of a letter
            return "cp1252"
    return "utf-8-sig"


def _lines_before_header(lines: Sequence[str]) -> int:
    if re.fullmatch(r"#1\.[23]\s*", lines[0]):  # GCT: version, then its size
        return 2
    comments = 0
    while comments < len(lines) - 1 and (
        lines[comments].startswith("#") or not lines[comments].strip() or re.fullmatch(r"sep=.", lines[comments])
    ):
        comments += 1
    only_one = comments == 1 and lines[0].count("\t") == lines[1].count("\t") > 0
    return 0 if only_one else comments


def _separator(lines: Sequence[str]) -> str:
    def rank(separator: str) -> tuple[bool, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=separator) if row][:-1] or [1]
        except csv.Error:  # a cell longer than any is
            return False, 0
        return min(widths) == max(widths) > 1, widths[0]

    return max((",", ";", "\t", "|"), key=rank)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A table of text, as it stands in a file.

    Parameters
    ----------
    name
        Of the file.
    frame
        Stripped text; "" where nothing is known. Its index is the line of the file (the row, for Parquet).
    notes
        What was done while reading.
    comma_parts
        Whether a comma parts the cells, so that one within a number may be there for thousands.
    """

    name: str
    frame: "pd.DataFrame"
    notes: tuple[str, ...] = ()
    comma_parts: bool = False

    def find(self, asked: str, known: Sequence[str], what: str) -> str:
        """Return the column that is asked for, or the first of those known names that is there, "" for none.

        Raises
        ------
        TableError
            When the column asked for is not there, or is there twice.
        """
        there = {_plain(column): column for column in reversed(self.frame.columns)}
        name = asked if asked in self.frame.columns else there.get(_plain(asked), "")
        if asked and not name:
            raise TableError(
                f"{self.name} has no column {asked!r} for {what}: it has {', '.join(self.frame.columns[:12])}"
                f"{' ...' if len(self.frame.columns) > 12 else ''}."
            )
        name = name or next((there[_plain(k)] for k in known if _plain(k) in there), "")
        if name and list(self.frame.columns).count(name) > 1:
            raise TableError(f"{self.name} has the column {name} twice: keep one.")
        return name

    def values(self, column: str) -> list[str]:
        """Return the text of a column, "" where nothing is known; "-" is a value beside "+"."""
        cells = self.frame[column].to_list()
        missing = MISSING - {"-"} if "+" in cells else MISSING
        return ["" if cell.lower() in missing else cell for cell in cells]

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Return a column as numbers, NaN where nothing is known; a decimal comma is understood.

        Raises
        ------
        TableError
            When a cell is no number, or may be two; it names line and column.
        """
        cells = self.values(column)
        commas = [cell for cell in cells if _WITH_COMMA.fullmatch(cell)]
        dots = any("." in cell for cell in cells if _NUMBER.fullmatch(cell))
        doubtful = dots or (self.comma_parts and all(_PERHAPS_THOUSANDS.fullmatch(cell) for cell in commas))
        found = np.full(len(cells), np.nan)
        for row, (line, cell) in enumerate(zip(self.frame.index, cells, strict=True)):
            if not cell:
                continue
            comma = _WITH_COMMA.fullmatch(cell) is not None
            if (comma and doubtful) or not (comma or _NUMBER.fullmatch(cell)):
                may = "may have a comma for decimals or for thousands" if comma else "is no number"
                raise TableError(
                    f"{self.name}, line {line}, column {column}: {cell!r} {may}; write numbers like 12.5, and leave "
                    "the cell empty where nothing is known."
                )
            found[row] = float(cell.replace(",", "."))
        return found


def _plain(name: str) -> str:
    """A name without what tables write differently: "Case ID" is case_id."""
    return re.sub(r"[\s_.-]+", "_", name.lower()).strip("_")


def read_cells(path: str | Path) -> Cells:
    """Return a CSV, TSV or Parquet table as text, cell by cell.

    Separator (comma, semicolon, tab, bar), encoding (UTF-8, UTF-16, Windows-1252), byte order mark, Excel's ``sep=;``
    and comment lines are recognised; empty lines, empty columns and rows that are there twice, to the letter, are left
    out and said.

    Raises
    ------
    TableError
        When it cannot be read, holds no row, or a line has more cells than the header.
    """
    import pandas as pd

    path = Path(path)
    comma_parts = False
    if is_parquet(path):
        frame = _parquet(path)
    else:
        layout = layout_of(path)
        comma_parts = layout.separator == ","
        lines, rows = _rows(path, layout)
        header = [name or f"column {number}" for number, name in enumerate(layout.header, start=1)]
        frame = pd.DataFrame(rows, index=lines, columns=header, dtype=object)
    empty = [not name.startswith("column ") or (frame.iloc[:, i] != "").any() for i, name in enumerate(frame.columns)]
    frame = frame.loc[:, empty]
    repeated = frame.duplicated()
    notes = (f"{repeated.sum()} rows that are there twice were read once.",) if repeated.any() else ()
    if frame.empty:
        raise TableError(f"{path.name} has a header and no rows: give one row per slide or case.")
    return Cells(path.name, frame[~repeated], notes, comma_parts)


def _rows(path: Path, layout: Layout) -> tuple[list[int], list[list[str]]]:
    width, lines, rows = len(layout.header), [], []
    try:
        text = bytes_of(path).decode(layout.encoding)
    except UnicodeDecodeError as error:
        raise TableError(f"cannot read the table {path}: {reason_of(error)}.") from error
    below = islice(StringIO(text, newline=""), layout.before, None)
    reader = csv.reader(below, delimiter=layout.separator, strict=True)
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            line = reader.line_num + layout.before
            if len(row) > width and any(row[width:]):
                raise TableError(
                    f"{path.name}, line {line}: {len(row)} cells under a header of {width}; put a cell that holds the "
                    "separator between quotation marks."
                )
            if any(row):
                lines.append(line)
                rows.append((row + [""] * width)[:width])
    except csv.Error as error:
        line = reader.line_num + layout.before
        raise TableError(f"{path.name}, line {line}: {error}; perhaps a quotation mark is not closed.") from error
    return lines, rows


def read_parquet(path: Path) -> "pd.DataFrame":
    """Return a Parquet table with its index, if it means anything, as columns; `TableError` where it is none."""
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read the table {path}: {reason_of(error)}.") from error
    plain = not frame.index.name and isinstance(frame.index, pd.RangeIndex)
    return frame if plain else frame.reset_index()


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    frame = read_parquet(path)
    columns = (frame.iloc[:, number] for number in range(frame.shape[1]))
    text = {i: ["" if pd.isna(value) else str(value).strip() for value in cells] for i, cells in enumerate(columns)}
    named = [str(column) for column in frame.columns]
    return pd.DataFrame(text, index=range(1, len(frame) + 1)).set_axis(named, axis=1)

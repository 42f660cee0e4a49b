"""Large tables of samples, read row by row, with the line of each."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from lzma import LZMAError
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.tables import Layout, layout_of
from napari_pathlupi.errors import TableError, reason_of


@dataclass(frozen=True, slots=True, eq=False)
class SampleTable:
    """What a file says of its samples.

    Parameters
    ----------
    samples
        Their names.
    values
        (samples, genes, kinds) 1 altered, 0 not, NaN where nobody knows.
    notes
        What was read and left out, a sentence each.
    """

    samples: tuple[str, ...]
    values: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """A text table that may be larger than memory.

    Parameters
    ----------
    path
        Of the file, perhaps compressed.
    layout
        How it is written.
    """

    path: Path
    layout: Layout

    @classmethod
    def of(cls, path: str | Path) -> "Rows":
        """Return the rows of a table, of which only the beginning is read yet.

        Raises
        ------
        TableError
            When it is empty, binary or unreadable.
        """
        return cls(Path(path), layout_of(Path(path)))

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns as they stand there."""
        return self.layout.header

    def column(self, names: Sequence[str], needed: bool = True) -> int:
        """Return the place of the first column that is called so, in letters of any size; -1 for none.

        Raises
        ------
        TableError
            When a needed one is not there.
        """
        there = [name.lower() for name in self.header]
        found = next((there.index(name) for name in names if name in there), -1)
        if needed and found < 0:
            raise TableError(
                f"{self.path.name} has no column {' or '.join(names)}: it has {', '.join(self.header[:8])}"
                f"{' ...' if len(self.header) > 8 else ''}."
            )
        return found

    def cells(self, least: int) -> Iterator[tuple[int, list[str]]]:
        """Return line and cells of each row that is not empty.

        Raises
        ------
        TableError
            When the file breaks off, or a row has fewer cells than ``least``; it names the line.
        """
        import fsspec

        try:
            with (
                fsspec.open(str(self.path), "rb", compression="infer") as stream,
                TextIOWrapper(stream, self.layout.encoding, newline="") as text,
            ):
                yield from self._cells(text, least)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error, LZMAError, BadZipFile) as error:
            raise TableError(f"cannot read the table {self.path} to its end: {reason_of(error)}.") from error

    def _cells(self, text: Iterable[str], least: int) -> Iterator[tuple[int, list[str]]]:
        before, separator = self.layout.before, self.layout.separator
        quote = None if separator == "\t" else '"'
        reader = csv.reader(islice(text, before, None), delimiter=separator, quotechar=quote)
        for row in reader:
            if 0 < len(row) < least:
                raise TableError(
                    f"{self.path.name}, line {before + reader.line_num}: the row ends after {len(row)} cells of "
                    f"{least}; the file is cut off or damaged there."
                )
            if row:
                yield before + reader.line_num, row

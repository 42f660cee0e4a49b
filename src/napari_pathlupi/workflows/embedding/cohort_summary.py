"""What became of every slide of a cohort, kept in a table while the work goes on."""

import contextlib
import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_pathlupi.errors import InUseError, OutputError, PathlupiError, UnknownFormatError, UnsuitableSlideError
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.slides._url import SlideUrl
from napari_pathlupi.workflows.embedding.cohort_list import Entry
from napari_pathlupi.workflows.embedding.embed_store import Outcome

DONE, SKIPPED, FAILED, IN_USE, STOPPED = "done", "skipped", "failed", "in use", "stopped"
"""What may become of a slide; of those in use or stopped, another run brings the rest."""
SUMMARY = "summary.csv"
PACE_S = 2.0
"""The table is written at most this often before the end (our choice)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Parameters
    ----------
    slide, case
        Where it lies, without the secrets of an address, and to whom it belongs.
    outcome
        `DONE`, `SKIPPED`, `FAILED`, `IN_USE` or `STOPPED`.
    reason
        Why, or what else is to be said.
    fingerprint
        Its name in the store.
    tiles, encoded
        How many there are, and how many were encoded in this run.
    seconds, tiles_per_s
        How long this run took over it, and how fast it was.
    """

    slide: str
    case: str
    outcome: str
    reason: str = ""
    fingerprint: str = ""
    tiles: int = 0
    encoded: int = 0
    seconds: float = 0.0
    tiles_per_s: float = 0.0

    def __str__(self) -> str:
        tiles = f", {self.tiles:,} tiles" if self.tiles else ""
        return f"{self.slide}: {self.outcome}{tiles}" + (f" ({self.reason.rstrip('.')})" if self.reason else "")


def row_of(entry: Entry, outcome: Outcome, settings: Mapping[str, Any]) -> Row:
    """Return the line for what became of one slide; ``settings`` may hold ``engine_words`` to be told with it."""
    kind, reason = DONE, ""
    if outcome.error is not None:
        kind, reason = _kind_of(outcome.error), str(outcome.error)
    elif outcome.stored < outcome.tiles:
        kind, reason = STOPPED, f"{outcome.stored:,} tiles are stored: run the same again"
    elif not outcome.encoded:
        reason = "the store held all of it"
    elif outcome.encoded < outcome.tiles:
        reason = f"went on after {outcome.tiles - outcome.encoded:,} tiles that the store held"
    engine = settings.get("engine_words", "") if kind == DONE and outcome.encoded else ""
    seconds = outcome.timing.elapsed_s if outcome.timing else 0.0
    return Row(
        entry.shown,
        entry.case,
        kind,
        "; ".join(filter(None, (reason, engine))),
        outcome.fingerprint,
        outcome.tiles,
        outcome.encoded,
        round(seconds, 2),
        round(outcome.encoded / seconds, 1) if seconds else 0.0,
    )


def _kind_of(error: PathlupiError) -> str:
    if isinstance(error, InUseError):
        return IN_USE
    return SKIPPED if isinstance(error, UnsuitableSlideError | UnknownFormatError) else FAILED


class Summary:
    """One row per entry, in their order; as a context it writes the table in the end, whatever happens.

    Parameters
    ----------
    entries
        The cohort. Those that are no slide are settled from the start.
    store
        Where ``summary.csv`` is written, in place of that of an earlier run; "" for nowhere.
    """

    def __init__(self, entries: Sequence[Entry], store: str) -> None:
        self._entries, self._store = entries, store
        self._rows = {i: Row(e.shown, e.case, SKIPPED, e.problem) for i, e in enumerate(entries) if e.problem}
        self._written = time.monotonic()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def open(self) -> list[int]:
        """Indices of the entries that are not settled."""
        return [index for index in range(len(self._entries)) if index not in self._rows]

    @property
    def rows(self) -> list[Row]:
        """One per entry."""
        words = "stopped before its end: run the same again"
        return [self._rows.get(i) or Row(e.shown, e.case, STOPPED, words) for i, e in enumerate(self._entries)]

    def settle(self, index: int, row: Row) -> None:
        """Take what became of an entry.

        Raises
        ------
        OutputError
            When the table cannot be written.
        """
        self._rows[index] = row
        if time.monotonic() - self._written > PACE_S:
            self.write()

    def write(self) -> None:
        """Write the table as it is now.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        if not self._store:
            return
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(field.name for field in fields(Row))
        table.writerows(map(astuple, self.rows))
        _write(f"{self._store.rstrip('/')}/{SUMMARY}", text.getvalue().encode())
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OutputError) if error else contextlib.nullcontext():
            self.write()


def _write(place: str, content: bytes) -> None:
    try:
        if SlideUrl.of(place) is not None:
            from fsspec.core import url_to_fs

            files, path = url_to_fs(place)
            files.pipe_file(path, content)
            return
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{SUMMARY} cannot be written beside the features ({type(error).__name__}).") from error
    write_whole(Path(place), content)

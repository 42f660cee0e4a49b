"""Reports of downstream protocols as words and files."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.evaluation.fold_scores import FoldScores, Measured
from napari_pathlupi.evaluation.predicted import Classified, Survived
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.workflows.downstream.cases import DownstreamCases
from napari_pathlupi.workflows.downstream.downstream import Report
from napari_pathlupi.workflows.save import unused

PREDICTIONS = ".predictions.csv"
"""Ending of the table that ``pathlupi evaluate`` reads."""
_ENDINGS = (".json", ".csv", PREDICTIONS)
INTERVAL = "value (95 % interval)"
_COLUMNS = ("protocol", "setting", "metric", "value", "low", "high", "standard_error", "folds", "cases")


def report_lines(*reports: Report) -> list[str]:
    """Return reports as lines for people: what was read, said once, a table with 95 % intervals, what was left out."""
    rows = [row for report in reports for row in report.scores]
    names = [" ".join(filter(None, (row.metric, row.setting))) for row in rows]
    width = max(map(len, names), default=0)
    figures = [str(row.figure) for row in rows]
    wide = max(map(len, [INTERVAL, *figures]))
    lines = [
        *dict.fromkeys(note for report in reports for note in report.notes),
        f"{'':<{width}}  {INTERVAL:<{wide}}  from resampled patients",
    ]
    for name, figure, row in zip(names, figures, rows, strict=True):
        lines.append(f"{name:<{width}}  {figure:<{wide}}  {_over(row)}, {row.cases} cases")
    return [*lines, *(words for report in reports for words in report.skipped)]


def _over(row: Measured) -> str:
    """What a figure is the mean of."""
    if len(row.folds) < 2:
        return "all at once"
    return f"mean of {len(row.folds)} {'draws' if row.setting else 'folds'}"


def save_report(report: Report, cases: DownstreamCases, folder: Path) -> list[Path]:
    """Write a report as JSON and CSV, and what was said of each case as CSV; return the files.

    They are called after the protocol; a second run becomes ``linear-probe.2…``. The table of predictions (case_id,
    fold, prob_<class> or risk) is what ``pathlupi evaluate`` reads.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    start = unused(folder, f"{report.protocol.replace(' ', '-')}.x", _ENDINGS)
    told = as_json(report)
    parts = {".json": json.dumps(told, indent=2), ".csv": table_text(_COLUMNS, rows_of(report.protocol, report.scores))}
    header, rows = _predictions(report.folds, cases)
    if rows:
        parts[PREDICTIONS] = table_text(header, rows)
    files = [start.with_name(f"{start.name}{ending}") for ending in parts]
    for file, text in zip(files, parts.values(), strict=True):
        write_whole(file, text)
    return files


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON values; null where something cannot be said."""
    measured = [dict(zip(_COLUMNS, row, strict=True)) for row in rows_of(report.protocol, report.scores)]
    each = [[finite(value) for value in row.folds] for row in report.scores]
    return {
        "protocol": report.protocol,
        "measures": [row | {"values": values} for row, values in zip(measured, each, strict=True)],
        "left_out": list(report.skipped),
        "notes": list(dict.fromkeys(report.notes)),
        "settings": report.settings,
        "use": RESEARCH_USE_ONLY,
    }


def rows_of(protocol: str, scores: Iterable[Measured]) -> list[tuple[Any, ...]]:
    """Return rows of a table, one per measure; None where something cannot be said."""
    return [
        (
            *(protocol, row.setting, row.metric),
            *map(finite, (row.figure.value, row.figure.low, row.figure.high, row.standard_error)),
            *(len(row.folds), row.cases),
        )
        for row in scores
    ]


def table_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue()


def finite(value: float | None) -> float | None:
    """Return a number, None where it is none."""
    return value if value is not None and isfinite(value) else None


def _predictions(folds: Sequence[FoldScores], cases: DownstreamCases) -> tuple[list[str], list[list[Any]]]:
    header: list[str] = []
    rows: list[list[Any]] = []
    for fold in folds:
        if isinstance(fold.told, Classified):
            header = ["case_id", "fold", *(f"prob_{name}" for name in fold.told.classes)]
            said = fold.told.probabilities.tolist()
        elif isinstance(fold.told, Survived):
            header, said = ["case_id", "fold", "risk"], fold.told.risks[:, None].tolist()
        else:
            continue
        rows += [[cases.cohort.names[row], fold.fold, *values] for row, values in zip(fold.rows, said, strict=True)]
    return header, rows

"""One table over all tasks and encoders of a bench."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_pathlupi.evaluation.scoring import Figure
from napari_pathlupi.export._whole_file import write_whole
from napari_pathlupi.workflows.downstream.bench import BenchResult
from napari_pathlupi.workflows.downstream.files import finite, table_text

RESAMPLES = 2000
"""Of the tasks, for the interval of a mean over them (our choice)."""
_COLUMNS = ("task", "encoder", "metric", "value", "low", "high", "cases", "error")


@dataclass(frozen=True, slots=True)
class Standing:
    """How an encoder does over the tasks that every encoder did.

    Parameters
    ----------
    encoder
        Its name.
    mean
        Over those tasks, with a 95 % interval over tasks.
    wins
        Tasks on which no encoder does better; ties count for each.
    tasks
        How many tasks there are.
    """

    encoder: str
    mean: Figure
    wins: int
    tasks: int


def standings(result: BenchResult) -> tuple[Standing, ...]:
    """Return how each encoder does; none where no task was done by all of them.

    A mean is over measures of several kinds, as the paper's is; its interval says how it depends on which tasks there
    are, not on their patients.
    """
    common = [task for task in result.tasks if all(_value(result, task, name) is not None for name in result.encoders)]
    if not common:
        return ()
    values = np.array([[_value(result, task, name) for name in result.encoders] for task in common], dtype=np.float64)
    best = values == values.max(axis=1, keepdims=True)
    drawn = np.random.default_rng(0).integers(0, len(common), (RESAMPLES, len(common)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975], axis=0)
    means = values.mean(axis=0)
    return tuple(
        Standing(name, Figure(float(means[k]), float(low[k]), float(high[k])), int(best[:, k].sum()), len(common))
        for k, name in enumerate(result.encoders)
    )


def table_lines(result: BenchResult) -> list[str]:
    """Return the table as lines for people: a row per task, a column per encoder, then means, wins and reasons."""
    rows = [["task", "measure", *result.encoders]]
    for task in result.tasks:
        of_task = [result.lines.get((task, name), {}) for name in result.encoders]
        metric = next((str(line["metric"]) for line in of_task if line.get("metric")), "")
        rows.append([task, metric, *(_shown(line) for line in of_task)])
    found = standings(result)
    if found:
        rows.append([f"mean of {found[0].tasks} tasks", "", *(str(row.mean) for row in found)])
        rows.append(["wins", "", *(f"{row.wins} of {row.tasks}" for row in found)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    alone = () if found else ("No task was done by all encoders, so there are no means and wins.",)
    return [*lines, "In brackets: 95 % intervals over patients; of a mean, over tasks.", *alone, *reasons(result)]


def reasons(result: BenchResult) -> list[str]:
    """Return why pairs have no number, a sentence each."""
    return [
        f"{task}, {name}: {result.lines[task, name]['error']}"
        for task in result.tasks
        for name in result.encoders
        if result.lines.get((task, name), {}).get("error")
    ]


def save_table(result: BenchResult, folder: Path) -> list[Path]:
    """Write the table as CSV, a row per task and encoder, and the standings as JSON; return the files.

    They follow from the lines of results, and replace those of an earlier run.

    Raises
    ------
    OutputError
        When the folder cannot be written to.
    """
    rows: list[Sequence[object]] = [
        [line.get(column) for column in _COLUMNS]
        for task in result.tasks
        for name in result.encoders
        if (line := result.lines.get((task, name)))
    ]
    told = [
        {
            "encoder": row.encoder,
            "mean": finite(row.mean.value),
            "low": finite(row.mean.low),
            "high": finite(row.mean.high),
            "wins": row.wins,
            "tasks": row.tasks,
        }
        for row in standings(result)
    ]
    table, standing = folder / "table.csv", folder / "standings.json"
    write_whole(table, table_text(_COLUMNS, rows))
    write_whole(standing, json.dumps(told, indent=2))
    return [table, standing]


def _value(result: BenchResult, task: str, encoder: str) -> float | None:
    value = result.lines.get((task, encoder), {}).get("value")
    return None if value is None else float(value)


def _shown(line: object) -> str:
    if not isinstance(line, dict) or not line:
        return "not run"
    if line.get("error"):
        return "left out"
    low, high = (np.nan if line[end] is None else line[end] for end in ("low", "high"))
    return str(Figure(line["value"], low, high))

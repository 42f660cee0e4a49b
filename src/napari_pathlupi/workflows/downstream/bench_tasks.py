"""Which tasks a bench runs: a folder of Patho-Bench's splits, or a TOML file that names tasks of both kinds."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import TableError
from napari_pathlupi.evaluation.threads_tasks import published
from napari_pathlupi.workflows.downstream.patho_bench import read_task, tasks_below
from napari_pathlupi.workflows.downstream.task import DownstreamTask

KEYS = frozenset(
    ("name", "table", "column", "classes", "time", "event", "censorship", "unit", "case", "slide", "splits", "metric")
)


def read_tasks(place: str | Path) -> list[DownstreamTask]:
    """Return the tasks of a folder of splits, or of a TOML file.

    Of a task that is one of the paper's 54, the paper's measure counts; of others that of Patho-Bench's configuration,
    or what is stated.

    The file names tasks of Patho-Bench by ``splits_root`` and ``tasks = ["nadt--response", …]``, and own ones as tables
    ``[[task]]`` with ``name``, ``table``, and ``column`` (and ``classes``) or ``time`` with ``event`` or
    ``censorship`` (and ``unit``); perhaps ``case``, ``slide``, ``splits`` and ``metric``, as of `DownstreamTask`. Paths
    are relative to the file.

    Raises
    ------
    TableError
        When it cannot be read, holds no task, or says something that is not known.
    """
    place = Path(place)
    if place.is_dir():
        return [_as_published(task) for task in tasks_below(place)]
    try:
        told = tomllib.loads(place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TableError(f"cannot read the tasks {place}: {error}.") from error
    unknown = set(told) - {"splits_root", "tasks", "task"}
    if unknown:
        raise TableError(f"{place.name}: {', '.join(sorted(unknown))} is not known; splits_root, tasks and task are.")
    root = place.parent / str(told.get("splits_root", "."))
    found = [_as_published(read_task(root / Path(*str(name).split("--", 1)))) for name in told.get("tasks", ())]
    found += [_own(row, place) for row in told.get("task", ())]
    if not found:
        raise TableError(f"{place.name} names no task: tasks = […] or tables [[task]] are needed.")
    return found


def _as_published(task: DownstreamTask) -> DownstreamTask:
    known = published(task.name)
    return task if known is None else replace(task, metric=known.metric)


def _own(row: Mapping[str, Any], file: Path) -> DownstreamTask:
    name = str(row.get("name", ""))
    unknown = set(row) - KEYS
    if unknown or not name or "table" not in row or bool(row.get("column")) == bool(row.get("time")):
        why = f"{', '.join(sorted(unknown))} is not known" if unknown else "something is missing"
        raise TableError(
            f"{file.name}, task {name or '(no name)'}: {why}; name, table, and column or time with event or "
            "censorship are needed."
        )
    if row.get("column"):
        endpoint = Endpoint.classification(row["column"], row.get("classes", ()))
    else:
        said = {key: str(row.get(key, "")) for key in ("event", "censorship", "unit")}
        endpoint = Endpoint.survival(row["time"], **said)
    case, slide, metric = (str(row.get(key, "")) for key in ("case", "slide", "metric"))
    splits = str(file.parent / row["splits"]) if row.get("splits") else ""
    return DownstreamTask(name, str(file.parent / row["table"]), endpoint, case, slide, splits, metric)

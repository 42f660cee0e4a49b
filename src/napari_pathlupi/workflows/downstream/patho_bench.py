"""Tasks of Patho-Bench (mahmoodlab/Patho-Bench): ``<splits>/<source>/<task>/k=all.tsv`` with ``config.yaml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.errors import TableError
from napari_pathlupi.workflows.downstream.task import METRICS, DownstreamTask

TABLE, CONFIG = "k=all.tsv", "config.yaml"
_KINDS = ("classification", "survival")


def is_task(place: str | Path) -> bool:
    """Return whether a folder is a task of Patho-Bench."""
    return (Path(place) / TABLE).is_file()


def read_task(folder: str | Path) -> DownstreamTask:
    """Return a task from its folder: table, split, classes, measure and what a sample is.

    Classes are in the order of ``label_dict``; the table may hold their numbers or their names. A survival is read from
    ``<task>_event`` (1 is the event) and ``<task>_days``; the task's own column holds bins and is not used.

    Parameters
    ----------
    folder
        ``<source>/<task>``, with both files.

    Raises
    ------
    TableError
        When a file is absent or damaged, or says something that is not known.
    """
    folder = Path(folder)
    told = _config(folder / CONFIG)
    if not is_task(folder):
        raise TableError(f"{folder} has no {TABLE}: give the folder of one task of Patho-Bench.")
    column, kind = str(told.get("task_col", folder.name)), told.get("task_type", "classification")
    if kind not in _KINDS:
        raise TableError(f"{folder.name}/{CONFIG}: the task_type {kind!r} is not known; {' or '.join(_KINDS)} is.")
    sample = str(told.get("sample_col", "case_id"))
    if sample not in ("case_id", "slide_id"):
        raise TableError(f"{folder.name}/{CONFIG}: the sample_col {sample!r} is not known; case_id or slide_id is.")
    metrics = [str(metric).lower() for metric in told.get("metrics") or ()]
    return DownstreamTask(
        name=f"{folder.absolute().parent.name}--{folder.name}",
        table=str(folder / TABLE),
        endpoint=_survival(column) if kind == "survival" else _classes(folder, column, told),
        case="case_id",
        slide=sample if sample == "slide_id" else "",
        metric=next((metric for metric in metrics if metric in METRICS), ""),
        samples=int(told.get("num_samples") or 0),
    )


def tasks_below(root: str | Path) -> list[DownstreamTask]:
    """Return the tasks of a folder of splits, in the order of their names.

    Raises
    ------
    TableError
        When there is none.
    """
    tables = sorted(Path(root).glob(f"**/{TABLE}"))
    if not tables:
        raise TableError(f"{root} holds no task of Patho-Bench: <source>/<task>/{TABLE} beside {CONFIG} is needed.")
    return [read_task(table.parent) for table in tables]


def _config(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = str(error).splitlines()[0]
        raise TableError(f"cannot read {path} ({words}): it must stand beside {TABLE}.") from error
    if not isinstance(told, dict):
        raise TableError(f"{path} holds no settings: task_col, task_type, label_dict and sample_col are needed.")
    return told


def _survival(column: str) -> Endpoint:
    return Endpoint.survival(f"{column}_days", event=f"{column}_event", unit="days")


def _classes(folder: Path, column: str, told: Mapping[str, Any]) -> Endpoint:
    named = told.get("label_dict")
    if not named:
        return Endpoint.classification(column)
    if not isinstance(named, dict) or not all(str(number).isdigit() for number in named):
        raise TableError(f"{folder.name}/{CONFIG}: label_dict must give a name for each number of {column}.")
    in_order = sorted(named, key=int)
    names = [str(named[number]) for number in in_order]
    return Endpoint.classification(column, names, {str(number): str(named[number]) for number in in_order})

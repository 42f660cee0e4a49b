"""Named tasks: cohort, endpoint, classes, where their labels come from and how to derive them (``task_cards.toml``)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from napari_pathlupi.errors import NotFoundError, did_you_mean

KINDS = ("biomarker", "subtype", "survival", "external")


@dataclass(frozen=True, slots=True)
class TaskCard:
    """A named task.

    Parameters
    ----------
    name, title
        By which it is asked for, and what it is.
    kind
        One of `KINDS`.
    cohorts
        Whose cases.
    task, columns, classes, rename, event, unit
        As of `napari_pathlupi.workflows.training.study_config.TaskPart`.
    source, derive
        Where the labels come from, and how.
    known
        What of this is known of the paper, and what is not.
    task_settings
        Settings of the task.
    """

    name: str
    title: str
    kind: str
    cohorts: tuple[str, ...]
    task: str
    columns: tuple[str, ...]
    source: str
    derive: str
    known: str
    classes: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    event: str = ""
    unit: str = ""
    task_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """What it puts into the section ``task`` of a study."""
        return {
            "card": self.name,
            "name": self.task,
            "columns": list(self.columns),
            "classes": list(self.classes),
            "rename": dict(self.rename),
            "event": self.event,
            "unit": self.unit,
            "settings": dict(self.task_settings),
        }

    @property
    def words(self) -> str:
        """All of it, for people."""
        classes = f" as {', '.join(self.classes)}" if self.classes else ""
        return (
            f"{self.title} ({', '.join(self.cohorts)}): column {', '.join(self.columns)}{classes}.\n"
            f"Labels: {self.source}. {self.derive}\n{self.known}"
        )


@cache
def task_cards() -> Mapping[str, TaskCard]:
    """Return every named task by its name."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {name: _card(name, dict(table)) for name, table in tables.items()}


def task_card(name: str) -> TaskCard:
    """Return a named task; `NotFoundError` with the nearest name where there is none."""
    cards = task_cards()
    if name not in cards:
        hint = did_you_mean(name, cards)
        raise NotFoundError(f"no task is called {name!r}: {hint}`pathlupi init train --task list` names them.")
    return cards[name]


def listed() -> str:
    """Return a line per named task."""
    return "\n".join(f"{card.name:<22}{card.kind:<11}{card.title}" for card in task_cards().values())


def _card(name: str, table: dict[str, Any]) -> TaskCard:
    settings = table.pop("settings", {})
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return TaskCard(name=name, task_settings=settings, **values)

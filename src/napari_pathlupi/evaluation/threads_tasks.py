"""The 54 tasks on which Threads was tested, as data."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PublishedTask:
    """A task of the paper; what nobody says is "" or 0.

    Parameters
    ----------
    name
        For people.
    family
        One of the paper's four.
    kind
        classification or survival.
    metric
        The measure that counts, as the paper has it.
    source, task
        What Patho-Bench calls it; "" for in-house data.
    classes
        How many.
    sample
        Whether case_id or slide_id is one sample.
    samples
        How many there are.
    official_split
        Whether its makers published a single split, whose interval comes from 100 resamples in the paper; the others
        have five folds or fifty random splits.
    """

    name: str
    family: str
    kind: str
    metric: str
    source: str = ""
    task: str = ""
    classes: int = 0
    sample: str = ""
    samples: int = 0
    official_split: bool = False

    @property
    def key(self) -> str:
        """Return Patho-Bench's name, source--task, "" for in-house data."""
        return f"{self.source}--{self.task}" if self.public else ""

    @property
    def public(self) -> bool:
        """Whether Patho-Bench has it."""
        return bool(self.source)


@cache
def published_tasks() -> tuple[PublishedTask, ...]:
    """Return the 54 tasks in the paper's order."""
    text = Path(__file__).with_name("threads_tasks.toml").read_text(encoding="utf-8")
    return tuple(PublishedTask(**row) for row in tomllib.loads(text)["task"])


def published(key: str) -> PublishedTask | None:
    """Return the task that Patho-Bench calls so, None when it is none of the paper's."""
    return next((task for task in published_tasks() if task.public and task.key == key), None)

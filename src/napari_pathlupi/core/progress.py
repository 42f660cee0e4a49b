"""How long work tells where it is and is asked to stop.

A verb that takes long is a generator: it yields `Progress` and returns its result, so that a notebook, the command
line and napari drive it alike.
"""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a long piece of work is.

    Parameters
    ----------
    stage
        What is being done, in a word that a user understands.
    done, total
        How many of how many pieces (tiles, cases, epochs).
    partial
        A provisional result to show meanwhile, of the same type as the final one.
    message
        A sentence to show, for instance that the batch was halved.
    """

    stage: str
    done: int
    total: int
    partial: Any = None
    message: str = ""

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1."""
        return self.done / self.total if self.total else 0.0


Steps = Generator[Progress, None, Result]
"""Long work: yields `Progress`, returns its result."""


class CancelFlag:
    """Asks long work to stop after the piece at hand; set from any thread.

    The work looks at it between batches and *returns* what it has, so that it cleans up in its own thread.
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()


def run(steps: Steps[Result], show: Callable[[Progress], None] | None = None) -> Result:
    """Return the result of long work, showing each step on the way."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        if show is not None:
            show(progress)


def as_part_of(whole: Progress, steps: Steps[Result]) -> Steps[Result]:
    """Return the result of inner work, telling at each of its steps where the whole is."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        yield whole


def at_most_every(seconds: float, steps: Steps[Result]) -> Steps[Result]:
    """Return the result, leaving out steps that follow too soon and bring nothing but a number.

    A window that shows each of a hundred steps a second has no time left for its user.
    """
    last = -float("inf")
    while True:
        try:
            progress = next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        now = time.monotonic()
        if progress.partial is not None or progress.message or now - last >= seconds:
            last = now
            yield progress

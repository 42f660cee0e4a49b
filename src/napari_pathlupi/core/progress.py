"""How long work tells where it is and is asked to stop.

A verb that takes long is a generator: it yields `Progress` and returns its result, so that a notebook, the command
line and napari drive it alike.
"""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast tiles are encoded and where the time goes, all since the run began.

    Parameters
    ----------
    elapsed_s
        Seconds on the clock.
    tiles_per_s, left_s
        Mean speed, and the seconds that what is left takes at it.
    read_s, decode_s
        What a reader thread spent on bytes and on pictures, a mean over these threads; the rest of the time it had
        nowhere to put more. Formats that do both in one call count as decoding.
    device_s, wait_s
        What an encoder thread spent on the device, copies included, and on waiting for tiles; a mean, too.
    """

    elapsed_s: float
    tiles_per_s: float
    left_s: float
    read_s: float
    decode_s: float
    device_s: float
    wait_s: float

    def since(self, earlier: "Timing") -> "Timing":
        """Return the time that went from an earlier moment of the same run on; speed and what is left stay."""
        names = ("elapsed_s", "read_s", "decode_s", "device_s", "wait_s")
        return replace(self, **{name: getattr(self, name) - getattr(earlier, name) for name in names})

    def as_dict(self) -> dict[str, float]:
        """All of it as JSON values, to the millisecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


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
    timing
        Speed, and where the time goes, of work that tells.
    """

    stage: str
    done: int
    total: int
    partial: Any = None
    message: str = ""
    timing: Timing | None = None

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

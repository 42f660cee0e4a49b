"""Long work in a thread of napari's, its errors told as results.

napari drops a RuntimeError that leaves a generator worker without any signal, and shows every other error with its
traceback. So every error comes back as a `PathlupiError`, in one sentence for the user; of what was not foreseen the
traceback is logged as well, for whoever is to mend it.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_pathlupi.core.progress import Progress, Steps, at_most_every
from napari_pathlupi.errors import Cancelled, InferenceError, PathlupiError

_log = logging.getLogger(__name__)

SECONDS_BETWEEN_STEPS = 0.1
"""Steps are shown at most this often (our choice)."""


TURN_S = 0.0005
"""While work goes on, Python's threads take turns this often, not every 5 ms: the window takes the lock many times for
each thing it shows, and would wait that long each time (our choice)."""


class Work(QObject):
    """One piece of work in the background; its signals arrive in the window's thread.

    It lives until it has ended, whatever becomes of the widget that started it.

    Parameters
    ----------
    steps
        A generator function, so that nothing of it runs before the thread does.
    name
        What napari calls it when asked to close meanwhile.
    """

    progressed = Signal(object)
    """A `napari_pathlupi.core.progress.Progress`."""
    ended = Signal(object)
    """The result, or a `PathlupiError`."""

    _going_on: ClassVar[set["Work"]] = set()
    _usual_turn_s: ClassVar[float] = sys.getswitchinterval()

    def __init__(self, steps: Callable[[], Steps[Any]], name: str) -> None:
        super().__init__()
        if not self._going_on:
            Work._usual_turn_s = sys.getswitchinterval()
            sys.setswitchinterval(TURN_S)
        self._going_on.add(self)
        self._steps = steps()
        self._worker = create_worker(_Named(_told, self._steps, name=name), _ignore_errors=True)
        self._worker.yielded.connect(self.progressed)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._fault)
        self._worker.finished.connect(self._finished)
        self._worker.start()

    def _returned(self, boxed: tuple[Any]) -> None:
        self._end(boxed[0])

    def _end(self, outcome: Any) -> None:
        self._going_on.discard(self)
        if not self._going_on:
            sys.setswitchinterval(self._usual_turn_s)
        self.ended.emit(outcome)
        self.deleteLater()

    def _finished(self) -> None:
        if self in self._going_on:  # asked to quit, napari drops the result, and a generator without cleaning up
            self._steps.close()
            self._end(Cancelled("Stopped because the window was closed."))

    def _fault(self, error: Exception) -> None:
        _log.error("a fault in work in the background", exc_info=error)
        self._end(InferenceError(f"Something in the program failed ({type(error).__name__}: {error})."))


class _Named(partial[Any]):
    """A call that napari's list of tasks shows by a name for people."""

    name: str

    def __new__(cls, call: Callable[..., Any], *args: Any, name: str) -> "_Named":
        self = super().__new__(cls, call, *args)
        self.name = name
        return self

    def __str__(self) -> str:
        return self.name


def _told(steps: Steps[Any]) -> Steps[tuple[Any]]:
    """The outcome in a tuple: an exception that is returned bare, napari would raise."""
    try:
        return ((yield from at_most_every(SECONDS_BETWEEN_STEPS, steps)),)
    except PathlupiError as error:
        return (error,)
    except RuntimeError as error:
        _log.exception("the device or the network failed")
        return (InferenceError(f"The device or the network failed: {error}"),)


def at_once(call: Callable[[], Any]) -> Callable[[], Steps[Any]]:
    """Return work of a single step."""

    def steps() -> Steps[Any]:
        yield Progress("Starting", 0, 0)
        return call()

    return steps

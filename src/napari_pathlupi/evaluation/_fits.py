"""Fits of other libraries, whose warnings become sentences of ours."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def warnings_told() -> Iterator[list[type[Warning]]]:
    """Collect the kinds of warnings that a fit gives, and show none.

    Python's warnings belong to the whole process, so only one thread fits at a time; processes fit side by side.
    """
    told: list[type[Warning]] = []
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
        told += [warning.category for warning in caught]


def unsettled(told: list[type[Warning]], iterations: int) -> tuple[str, ...]:
    """Return what must be said of a fit that stopped before it had settled."""
    from sklearn.exceptions import ConvergenceWarning

    if not any(issubclass(category, ConvergenceWarning) for category in told):
        return ()
    return (f"the fit had not settled after {iterations:,} iterations",)

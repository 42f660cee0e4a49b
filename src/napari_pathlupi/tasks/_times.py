"""What is known of a case in survival: a time, and whether the event was seen then."""

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import MismatchError

TIME, EVENT = 0, 1
"""The columns, as `napari_pathlupi.core.cohort.Endpoint` has them: 1 for the event, 0 for a censored case."""


def known_times(wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rows of which both time and outcome are known."""
    return wanted[np.isfinite(wanted).all(axis=1)]


def check_times(wanted: npt.NDArray[np.float64]) -> None:
    """Raise `MismatchError` unless times are above 0, outcomes 0 or 1, and some event was seen."""
    times, events = wanted[:, TIME], wanted[:, EVENT]
    early = times[times <= 0]
    if len(early) or np.isinf(times).any():
        worst = early.min() if len(early) else np.inf
        raise MismatchError(
            f"{len(early) + int(np.isinf(times).sum())} of {len(times)} times are not above 0 and finite (one is "
            f"{worst:g}): leave such cases out, or give the time from diagnosis on."
        )
    if not np.isin(events[~np.isnan(events)], (0, 1)).all():
        odd = next(value for value in events if value not in (0, 1) and not np.isnan(value))
        raise MismatchError(f"the outcome of a case is {odd:g}: write 1 where the event was seen and 0 where censored.")
    known = known_times(wanted)
    if not (known[:, EVENT] == 1).any():
        raise MismatchError(
            f"none of the {len(known)} cases with time and outcome had the event, all are censored: there is nothing "
            "to learn from; is 1 perhaps the mark of a censored case?"
        )

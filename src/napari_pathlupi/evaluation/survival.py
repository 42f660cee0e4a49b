"""Kaplan-Meier curves of the cases of high and of low risk, and the log-rank test between them."""

from dataclasses import dataclass

import numpy as np

from napari_pathlupi.evaluation.measures import Flags, Indices, Numbers
from napari_pathlupi.evaluation.predicted import Survived


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """How many go without the event up to each time.

    Parameters
    ----------
    times, survival, low, high
        (steps,) ascending times, the share, and the ends of its 95 % interval (log-log transformed).
    watched
        (cases,) until when each case was watched, ascending.
    events
        How many there were.
    """

    times: Numbers
    survival: Numbers
    low: Numbers
    high: Numbers
    watched: Numbers
    events: int

    @property
    def cases(self) -> int:
        """How many there were."""
        return len(self.watched)

    def at_risk(self, time: float) -> int:
        """Return how many were still watched at a time."""
        return int((self.watched >= time).sum())


@dataclass(frozen=True, slots=True, eq=False)
class RiskGroups:
    """The cases in two halves by their predicted risk.

    Parameters
    ----------
    low, high
        Their curves.
    p
        Of the log-rank test; NaN where it cannot be made.
    words
        Where the cases were parted.
    """

    low: Curve
    high: Curve
    p: float
    words: str


def risk_groups(survived: Survived) -> RiskGroups | None:
    """Return the cases above and up to the median risk; None where one of the two would be empty.

    The median is that of the cases in the table, fold by fold where folds predicted different cases: training risks are
    not in it, and the risks of two models have no common scale. A cut found on the cases themselves flatters a little
    if it is then used elsewhere; the log-rank test between the halves is none the worse.
    """
    high = np.zeros(len(survived), dtype=bool)
    for group in np.unique(survived.groups):
        rows = survived.groups == group
        high[rows] = survived.risks[rows] > np.median(survived.risks[rows])
    if high.all() or not high.any():
        return None
    several = len(np.unique(survived.groups)) > 1
    words = "the median risk of " + ("each fold's own cases" if several else "these cases")
    curves = [kaplan_meier(survived.times[rows], survived.events[rows]) for rows in (~high, high)]
    return RiskGroups(curves[0], curves[1], log_rank(survived.times, survived.events, high.astype(np.int64)), words)


def kaplan_meier(times: Numbers, events: Flags) -> Curve:
    """Return the Kaplan-Meier estimate, from time 0 on, by scikit-survival."""
    from sksurv.nonparametric import kaplan_meier_estimator

    if not events.any():  # the interval is not defined, the curve is
        flat = np.ones(2)
        return Curve(np.array([0.0, times.max()]), flat, flat, flat, np.sort(times), 0)
    x, share, (low, high) = kaplan_meier_estimator(events, times, conf_type="log-log")
    steps = [np.concatenate([[1.0], part]) for part in (share, low, high)]
    return Curve(np.concatenate([[0.0], x]), steps[0], steps[1], steps[2], np.sort(times), int(events.sum()))


def log_rank(times: Numbers, events: Flags, groups: Indices) -> float:
    """Return p of the log-rank test between groups, by scikit-survival; NaN where there is one group or no event."""
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    if len(np.unique(groups)) < 2 or not events.any():
        return float("nan")
    return float(compare_survival(Surv.from_arrays(events, times), groups)[1])

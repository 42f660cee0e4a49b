"""Whether two models rank the same cases differently well: DeLong's test."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DeLong:
    """The areas under two ROC curves of the same cases, and what their difference may be.

    Parameters
    ----------
    first, second
        The areas.
    error
        Standard error of first - second.
    p
        Two-sided; 1 where the two rank every case alike.
    """

    first: float
    second: float
    error: float
    p: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of first - second."""
        gap = self.first - self.second
        return gap - 1.959964 * self.error, gap + 1.959964 * self.error


def delong(positive: npt.NDArray[np.bool_], first: Numbers, second: Numbers) -> DeLong:
    """Return DeLong's comparison of two scores of the same cases (DeLong, DeLong and Clarke-Pearson, Biometrics 1988).

    By ranks (Sun and Xu, IEEE Signal Processing Letters 2014); scikit-learn has none.

    Parameters
    ----------
    positive
        (cases,) which are positive; at least two of either kind.
    first, second
        (cases,) scores; higher is more positive.

    Raises
    ------
    ValueError
        When there are fewer than two cases of either kind.
    """
    if min(positive.sum(), (~positive).sum()) < 2:
        raise ValueError("at least two positive and two negative cases are needed")
    shares = [_shares(positive, scores) for scores in (first, second)]
    (above, below), areas = zip(*shares, strict=True), [float(hits.mean()) for hits, _ in shares]
    covariance = np.cov(np.stack(above)) / positive.sum() + np.cov(np.stack(below)) / (~positive).sum()
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return DeLong(areas[0], areas[1], max(variance, 0.0) ** 0.5, _two_sided(areas[0] - areas[1], variance))


def _shares(positive: npt.NDArray[np.bool_], scores: Numbers) -> tuple[Numbers, Numbers]:
    """Per positive case the share of negative ones below it, per negative case that of positive ones above it."""
    from scipy.stats import rankdata

    hits, misses = int(positive.sum()), int((~positive).sum())
    ranks = rankdata(scores)
    above = (ranks[positive] - rankdata(scores[positive])) / misses
    below = 1 - (ranks[~positive] - rankdata(scores[~positive])) / hits
    return above, below


def _two_sided(gap: float, variance: float) -> float:
    from scipy.stats import norm

    if variance <= 1e-15:
        return 1.0 if abs(gap) < 1e-12 else 0.0
    return float(2 * norm.sf(abs(gap) / variance**0.5))

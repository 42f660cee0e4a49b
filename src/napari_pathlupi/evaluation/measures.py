"""Measures of predictions for many resamples of the cases in one pass.

Each takes ``counts`` (resamples, cases): how often each case is in each resample, all 1 for the cases as they are. It
returns one number per resample, NaN where the resample cannot say. scikit-learn and scikit-survival score one resample
at a time, which takes minutes for intervals; their values are what the tests hold these to.
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CALIBRATION_BINS = 10
"""Of equal width, as Guo et al. (ICML 2017) have 15 for larger sets; our choice."""
_AT_ONCE = 256
_TIED_RISK = 1e-8
"""Risks closer than this are ties, as scikit-survival has it."""


def auroc(positive: Flags, scores: Numbers, counts: Numbers) -> Numbers:
    """Return the area under the ROC curve: how often a positive case scores higher than a negative one, ties half."""
    hits, misses = _by_score(positive, scores, counts)
    below = misses.cumsum(axis=1) - misses
    pairs = hits.sum(axis=1) * misses.sum(axis=1)
    return _ratio((hits * (below + misses / 2)).sum(axis=1), pairs)


def average_precision(positive: Flags, scores: Numbers, counts: Numbers) -> Numbers:
    """Return the area under the precision-recall curve in steps, without interpolation (AUPRC)."""
    hits, misses = (part[:, ::-1] for part in _by_score(positive, scores, counts))
    found = hits.cumsum(axis=1)
    precision = _ratio(found, found + misses.cumsum(axis=1), 0.0)
    return _ratio((precision * hits).sum(axis=1), hits.sum(axis=1))


def _by_score(positive: Flags, scores: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    """(resamples, scores) positive and negative cases at each different score, ascending."""
    order = np.argsort(scores, kind="stable")
    firsts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    ordered = counts[:, order]
    hits = np.add.reduceat(ordered * positive[order], firsts, axis=1)
    return hits, np.add.reduceat(ordered, firsts, axis=1) - hits


def confusion(labels: Indices, said: Indices, classes: int, counts: Numbers) -> Numbers:
    """Return (resamples, classes, classes) cases by their class and the class that was said."""
    cells = np.eye(classes * classes)[labels * classes + said]
    return np.asarray(counts @ cells).reshape(-1, classes, classes)


def balanced_accuracy(table: Numbers) -> Numbers:
    """Return the mean over the classes that occur of the share of their cases that was found."""
    return mean_known(_ratio(np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2)).T)


def macro_f1(table: Numbers) -> Numbers:
    """Return the mean of the F1 of each class that occurs or was said."""
    right = np.diagonal(table, axis1=1, axis2=2)
    return mean_known(_ratio(2 * right, table.sum(axis=1) + table.sum(axis=2)).T)


def kappa(table: Numbers, quadratic: bool = False) -> Numbers:
    """Return Cohen's kappa; ``quadratic`` counts an error by the square of its distance, for classes in an order."""
    classes = table.shape[1]
    apart = np.subtract.outer(np.arange(classes), np.arange(classes))
    cost = apart.astype(float) ** 2 if quadratic else (apart != 0).astype(float)
    cases = table.sum(axis=(1, 2))
    by_chance = table.sum(axis=2)[:, :, None] * table.sum(axis=1)[:, None, :]
    return 1 - _ratio((table * cost).sum(axis=(1, 2)) * cases, (by_chance * cost).sum(axis=(1, 2)))


def brier(labels: Indices, probabilities: Numbers, counts: Numbers) -> Numbers:
    """Return the mean squared error of the probabilities, summed over classes; of two classes that of the second."""
    errors = (probabilities - np.eye(probabilities.shape[1])[labels]) ** 2
    each = errors[:, 1] if errors.shape[1] == 2 else errors.sum(axis=1)
    return _mean_of(each, counts)


def calibration_error(labels: Indices, probabilities: Numbers, counts: Numbers) -> Numbers:
    """Return the expected calibration error of the class that is said, in `CALIBRATION_BINS` bins of equal width."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.eye(CALIBRATION_BINS)[np.minimum((sure * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)]
    gaps = np.abs(counts @ (bins * (right - sure)[:, None]))
    return _ratio(gaps.sum(axis=1), counts.sum(axis=1))


def concordance(times: Numbers, events: Flags, risks: Numbers, groups: Indices, counts: Numbers) -> Numbers:
    """Return Harrell's C: how often, of two cases, the one with the earlier event has the higher risk, ties half.

    Only cases of one group are compared: the risks of two models have no common scale.
    """
    agree, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    seen = np.flatnonzero(events)
    for first in np.split(seen, range(_AT_ONCE, len(seen), _AT_ONCE)):  # (first, cases), a few at a time
        same = (times[first, None] == times) & ~events
        later = ((times > times[first, None]) | same) & (groups == groups[first, None])
        gap = risks[first, None] - risks
        right = later * np.where(np.abs(gap) <= _TIED_RISK, 0.5, gap > 0)
        agree += ((counts[:, first] @ right) * counts).sum(axis=1)
        pairs += ((counts[:, first] @ later.astype(float)) * counts).sum(axis=1)
    return _ratio(agree, pairs)


def absolute_error(truth: Numbers, said: Numbers, counts: Numbers) -> Numbers:
    """Return the mean distance from the truth."""
    return _mean_of(np.abs(said - truth), counts)


def explained(truth: Numbers, said: Numbers, counts: Numbers) -> Numbers:
    """Return R²: 1 - the squared errors over those of the mean."""
    spread = counts @ truth**2 - _ratio((counts @ truth) ** 2, counts.sum(axis=1))
    return 1 - _ratio(counts @ (said - truth) ** 2, spread)


def correlation(truth: Numbers, said: Numbers, counts: Numbers) -> Numbers:
    """Return Pearson's correlation."""
    x, y = (numbers - numbers.sum() / max(len(numbers), 1) for numbers in (truth, said))  # near 0, so sums stay exact
    total = counts.sum(axis=1)

    def covariance(a: Numbers, b: Numbers) -> Numbers:
        return np.asarray(counts @ (a * b) - _ratio((counts @ a) * (counts @ b), total))

    return _ratio(covariance(x, y), np.sqrt(covariance(x, x) * covariance(y, y)))


def mean_known(parts: Numbers) -> Numbers:
    """Return the mean along the first axis of what is not NaN."""
    known = np.isfinite(parts)
    return _ratio(np.where(known, parts, 0.0).sum(axis=0), known.sum(axis=0))


def _mean_of(each: Numbers, counts: Numbers) -> Numbers:
    return _ratio(counts @ each, counts.sum(axis=1))


def _ratio(part: Numbers, whole: Numbers, otherwise: float = np.nan) -> Numbers:
    found = np.full(np.broadcast(part, whole).shape, otherwise)
    np.divide(part, whole, out=found, where=whole > 0)
    return found

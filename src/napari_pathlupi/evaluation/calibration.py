"""What validation cases say of a model's numbers: a temperature, conformal thresholds, the spread of risks."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.errors import MismatchError

Numbers = npt.NDArray[np.float64]

TEMPERATURES = 0.25, 20.0
"""Between these a temperature is sought (our choice)."""
FEW = 50
"""Fewer cases never make a model surer than it was: the temperature is 1 or more (our choice)."""
_RISKS = 101


def calibrated_classes(logits: Numbers, labels: Numbers, level: float = 0.9, per_class: bool = False) -> Calibration:
    """Return temperature and conformal thresholds for one of several classes.

    The temperature minimises the cross entropy (Guo et al., ICML 2017) with smoothed labels, as cases that a model
    tells apart without an error would else make it as sure as one likes: a case of one of K classes with n cases is of
    it by (n + 1) / (n + K) and of each other by 1 / (n + K); for K = 2 that is Platt's (Advances in Large Margin
    Classifiers 1999). The score of a case is 1 - the probability of
    its class (Sadinle, Lei and Wasserman, JASA 2019); the threshold is the ceil((n + 1) level)-th smallest of n scores,
    so that a new case's set holds its class with at least that probability, and 1, every class, where n is too small
    to say. That both are found on the same cases costs a little of it (one number is fitted): report the coverage on
    test cases.

    Parameters
    ----------
    logits
        (n, classes) outputs for cases that the model did not learn from; of an ensemble each case's by a fold that did
        not learn from it.
    labels
        (n,) index of the class, NaN where unknown.
    level
        Share of the cases whose class the set is to hold.
    per_class
        Whether each class has a threshold of its own, so that the level holds within each class (Vovk, Machine Learning
        2013); it takes more cases.

    Raises
    ------
    MismatchError
        When no case is labelled.
    """
    known = np.isfinite(labels)
    logits, found = logits[known], labels[known].astype(int)
    _must_be_some(len(found))
    rows = np.arange(len(found))
    shares = _smoothed(found, logits.shape[1])
    temperature = _temperature(lambda t: -float((shares * _log_softmax(logits / t)).sum(axis=1).mean()), len(found))
    scores = 1 - np.exp(_log_softmax(logits / temperature)[rows, found])
    groups = [scores[found == k] for k in range(logits.shape[1])] if per_class else [scores]
    thresholds = tuple(min(1.0, conformal_quantile(group, level)) for group in groups)
    return Calibration(len(found), temperature, level, thresholds)


def calibrated_labels(logits: Numbers, wanted: Numbers, level: float = 0.9, per_class: bool = False) -> Calibration:
    """Return temperature and conformal thresholds for labels that may hold at once; rules as of `calibrated_classes`.

    Every label is smoothed, and has a set, as one of two classes: yes and no. The level holds label by label, not for
    all labels of a case at once (our choice: a joint set of many labels would rule out next to nothing).

    Parameters
    ----------
    logits, wanted
        (n, labels) outputs, and 0, 1 or NaN.
    level
        Share of the cases whose truth a label's set is to hold.
    per_class
        Whether that holds within the cases that have a label, and within those that have it not.
    """
    known = np.isfinite(wanted)
    cases = int(known.any(axis=1).sum())
    _must_be_some(cases)
    held = (wanted == 1).sum(axis=0)
    shares = np.where(wanted == 1, (held + 1) / (held + 2), 1 / (known.sum(axis=0) - held + 2))[known]
    found = logits[known]
    temperature = _temperature(lambda t: float((np.logaddexp(0, found / t) - shares * found / t).mean()), cases)
    surprise = 1 - np.exp(-np.logaddexp(0, np.where(wanted == 1, -logits, logits) / temperature))
    parts = (wanted == 0, wanted == 1) if per_class else (known,)
    groups = [surprise[part[:, k], k] for k in range(wanted.shape[1]) for part in parts]
    return Calibration(cases, temperature, level, tuple(min(1.0, conformal_quantile(one, level)) for one in groups))


def calibrated_values(values: Numbers, wanted: Numbers, level: float = 0.9) -> Calibration:
    """Return half the width of conformal intervals for (n, values); none where a column has too few known cases."""
    known = np.isfinite(wanted)
    _must_be_some(int(known.any(axis=1).sum()))
    pairs = zip(np.abs(values - wanted).T, known.T, strict=True)
    halves = tuple(conformal_quantile(error[there], level) for error, there in pairs)
    return Calibration(int(known.any(axis=1).sum()), 1.0, level, halves if np.isfinite(halves).all() else ())


def calibrated_risks(risks: Numbers) -> Calibration:
    """Return how the risks of (n,) validation cases are spread, to tell where a new one stands among them."""
    _must_be_some(len(risks))
    steps = np.linspace(0, 1, min(_RISKS, max(2, len(risks))))
    return Calibration(len(risks), risks=tuple(float(risk) for risk in np.quantile(risks, steps)))


def conformal_quantile(scores: Numbers, level: float) -> float:
    """Return the ceil((n + 1) level)-th smallest score, infinity where n is too small (Vovk et al., 2005)."""
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def _smoothed(found: npt.NDArray[np.int64], classes: int) -> Numbers:
    """(n, classes) how far each case is taken to be of each class."""
    counts = np.bincount(found, minlength=classes)[found]
    shares = np.repeat(1 / (counts + classes)[:, None], classes, axis=1)
    shares[np.arange(len(found)), found] *= counts + 1
    return shares


def _temperature(surprise: Callable[[float], float], cases: int) -> float:
    from scipy.optimize import minimize_scalar

    low, high = map(math.log, TEMPERATURES)
    found = minimize_scalar(lambda log_t: surprise(math.exp(log_t)), bounds=(low, high), method="bounded")
    return max(float(math.exp(found.x)), 1.0 if cases < FEW else 0.0)


def _log_softmax(logits: Numbers) -> Numbers:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _must_be_some(count: int) -> None:
    if not count:
        raise MismatchError(
            "no validation case is labelled, so nothing can be calibrated: hold some labelled cases back."
        )

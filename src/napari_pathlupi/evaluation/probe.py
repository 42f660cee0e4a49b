"""The linear probe: what a straight line through embeddings can tell of the classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation._fits import unsettled, warnings_told

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """How the linear probe is fitted, as published with Threads (arXiv 2501.16652, Online Methods).

    Nothing is searched, and the embeddings are taken as they are: neither centred nor scaled (as Patho-Bench does).

    Parameters
    ----------
    cost
        Inverse strength of the L2 penalty, scikit-learn's C.
    max_iter
        Most iterations of L-BFGS.
    balanced
        Whether every class weighs the same in the loss.
    """

    cost: float = 0.5
    max_iter: int = 10_000
    balanced: bool = True

    def __post_init__(self) -> None:
        if not (self.cost > 0 and self.max_iter > 0):
            raise SettingsError(
                f"a cost of {self.cost:g} and {self.max_iter} iterations are not possible: both must be above 0."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A fitted linear probe: probabilities are the softmax of ``features @ weight.T + bias``.

    Parameters
    ----------
    weight
        (classes, dim); for two classes the first row is 0.
    bias
        (classes,); minus infinity for a class that was never seen.
    notes
        What must be said of the fit, a sentence each.
    """

    weight: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def probabilities(self, features: Floats) -> npt.NDArray[np.float64]:
        """Return (cases, classes) probabilities of (cases, dim) features."""
        from scipy.special import softmax

        return np.asarray(softmax(features.astype(np.float64) @ self.weight.T + self.bias, axis=1))


def fit_probe(
    features: Floats, classes: npt.NDArray[np.int64], n_classes: int, config: ProbeConfig | None = None
) -> Probe:
    """Return the probe that these cases teach.

    Parameters
    ----------
    features
        (cases, dim) embeddings.
    classes
        (cases,) index of each one's class.
    n_classes
        How many classes there are, seen here or not.
    config
        How it is fitted.

    Raises
    ------
    UnusableFoldError
        When fewer than two classes are there, or no feature differs between the cases.
    """
    from sklearn.linear_model import LogisticRegression

    config = config or ProbeConfig()
    present = np.unique(classes)
    if len(present) < 2:
        raise UnusableFoldError(f"the {len(classes)} training cases are all of one class")
    notes = must_vary(features)
    weights = "balanced" if config.balanced else None
    model = LogisticRegression(C=config.cost, max_iter=config.max_iter, class_weight=weights, random_state=0)
    with warnings_told() as told:
        model.fit(features.astype(np.float64), classes)
    notes = (*notes, *unsettled(told, config.max_iter))
    return _probe_of(model, present, n_classes, (*notes, *_rare(np.bincount(classes, minlength=n_classes))))


def _probe_of(model: Any, present: npt.NDArray[np.int64], n_classes: int, notes: tuple[str, ...]) -> Probe:
    """The probe with a row for every class, whether or not it was seen."""
    weight = np.zeros((n_classes, model.coef_.shape[1]))
    bias = np.full(n_classes, -np.inf)
    if len(present) == 2:
        weight[present[1]], bias[present] = model.coef_[0], (0.0, float(model.intercept_[0]))
    else:
        weight[present], bias[present] = model.coef_, model.intercept_
    return Probe(weight, bias, notes)


def _rare(counts: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """What must be said of classes with no training case, and with one."""
    unseen, single, of = int((counts == 0).sum()), int((counts == 1).sum()), f"of {len(counts)} classes have"
    never = f"{unseen} {of} no training case and are never predicted (--classes can leave them out)"
    return *((never,) if unseen else ()), *((f"{single} {of} one training case",) if single else ())


def must_vary(features: Floats) -> tuple[str, ...]:
    """Return what must be said of features that are the same in all cases.

    Raises
    ------
    UnusableFoldError
        When all of them are.
    """
    constant = int((np.ptp(features, axis=0) == 0).sum())
    if constant == features.shape[1]:
        raise UnusableFoldError(f"all {constant} features are the same in all {len(features)} training cases")
    if not constant:
        return ()
    return (f"{constant} of {features.shape[1]} features are the same in all training cases and tell nothing",)

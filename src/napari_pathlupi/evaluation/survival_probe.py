"""The survival probe: a proportional-hazards model on embeddings, with an elastic net."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SettingsError, UnusableFoldError
from napari_pathlupi.evaluation._fits import unsettled, warnings_told
from napari_pathlupi.evaluation.probe import Floats, must_vary

ALPHA = {"OS": 0.07, "PFS": 0.01}
"""Strength of the penalty by endpoint, as published with Threads (arXiv 2501.16652, Online Methods)."""
EXCEPTIONS = {("chief", "cptac_ccrcc--OS"): 0.01, ("prism", "boehmk_--PFS"): 0.02}
"""Where the paper took another for one encoder on one task, because the fit failed or all weights were 0."""


@dataclass(frozen=True, slots=True)
class CoxnetConfig:
    """How the survival probe is fitted.

    Parameters
    ----------
    alpha
        Strength of the penalty: 0.07 for overall survival, 0.01 for progression-free survival.
    l1_ratio
        Share of the L1 norm in it (Patho-Bench's configuration).
    max_iter
        Most iterations. Threads' text says 10,000, Patho-Bench's code passes 100,000 and is followed here: where the
        fit settles earlier, which is the rule, there is no difference.
    """

    alpha: float = ALPHA["OS"]
    l1_ratio: float = 0.5
    max_iter: int = 100_000

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and 0 < self.l1_ratio <= 1 and self.max_iter > 0):
            raise SettingsError(
                f"alpha {self.alpha:g}, l1_ratio {self.l1_ratio:g} and {self.max_iter} iterations are not possible: "
                "alpha above 0, l1_ratio above 0 and at most 1, iterations above 0."
            )


@dataclass(frozen=True, slots=True, eq=False)
class CoxProbe:
    """A fitted survival probe: the risk is ``features @ weight``, a log hazard ratio up to a constant.

    Parameters
    ----------
    weight
        (dim,).
    notes
        What must be said of the fit, a sentence each.
    """

    weight: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def risks(self, features: Floats) -> npt.NDArray[np.float64]:
        """Return (cases,) risks of (cases, dim) features; higher means earlier events."""
        return np.asarray(features.astype(np.float64) @ self.weight)


def fit_coxnet(
    features: Floats,
    times: npt.NDArray[np.float64],
    events: npt.NDArray[np.bool_],
    config: CoxnetConfig | None = None,
) -> CoxProbe:
    """Return the survival probe that these cases teach; the embeddings are taken as they are.

    Parameters
    ----------
    features
        (cases, dim) embeddings.
    times
        (cases,) above 0, in whatever unit.
    events
        (cases,) whether the event was seen then; else the case was censored.
    config
        How it is fitted.

    Raises
    ------
    UnusableFoldError
        When no event was seen, a time is not above 0, no feature differs between the cases, or the fit fails.
    """
    from sksurv.util import Surv

    config = config or CoxnetConfig()
    must_have_events(times, events, "training")
    notes = must_vary(features)
    varies = np.ptp(features, axis=0) > 0
    weight = np.zeros(features.shape[1])
    weight[varies], told = _fitted(features[:, varies], Surv.from_arrays(events, times), config)
    return CoxProbe(weight, (*notes, *_words(weight, told, config)))


def _fitted(features: Floats, truth: Any, config: CoxnetConfig) -> tuple[npt.NDArray[np.float64], list[type[Warning]]]:
    """Weights, and what the library warned of."""
    from sksurv.linear_model import CoxnetSurvivalAnalysis

    model = CoxnetSurvivalAnalysis(alphas=[config.alpha], l1_ratio=config.l1_ratio, max_iter=config.max_iter)
    with warnings_told() as told:
        try:
            model.fit(features.astype(np.float64), truth)
        except ArithmeticError as error:
            raise UnusableFoldError(
                f"the proportional-hazards model cannot be fitted at alpha {config.alpha:g} (its weights grow without "
                "bound): a larger alpha or scaled embeddings are needed"
            ) from error
    return np.asarray(model.coef_[:, 0]), told


def _words(weight: npt.NDArray[np.float64], told: list[type[Warning]], config: CoxnetConfig) -> Iterator[str]:
    """What must be said of a fit, from its weights and what the library warned of."""
    yield from unsettled(told, config.max_iter)
    if not weight.any():
        yield f"at alpha {config.alpha:g} all weights are 0, so every case has the same risk"


def must_have_events(times: npt.NDArray[np.float64], events: npt.NDArray[np.bool_], which: str) -> None:
    """Refuse cases that no survival model can be learned from or tested on.

    Raises
    ------
    UnusableFoldError
        When a time is not above 0, or no event was seen.
    """
    if not (times > 0).all():
        raise UnusableFoldError(
            f"{int((~(times > 0)).sum())} of {len(times)} {which} cases have a time that is not above 0"
        )
    if not events.any():
        raise UnusableFoldError(f"all {len(events)} {which} cases are censored")

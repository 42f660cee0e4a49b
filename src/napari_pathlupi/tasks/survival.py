"""How likely it is to go without an event, time by time: discrete hazards."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import logsigmoid

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.outlook import SurvivalCurve, told
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._members import together
from napari_pathlupi.tasks._task import Task, exact
from napari_pathlupi.tasks._times import EVENT, TIME, check_times, known_times

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_FALLS = 1e-12, 500.0
"""Least and largest fall of a curve's logarithm in a bin: beyond, the logit of the hazard is no number."""


class Survival(Task):
    """Hazards in a few bins of time.

    The sigmoid of an output is the hazard h of its bin: how likely the event is in it for a case that reached it. The
    product of 1 - h up to a bin is the survival S at its end. Bins are the quantiles of the uncensored times, as MCAT,
    SurvPath and PathLUPI have them; a time belongs to the bin with start <= time < end, and one after the last end to
    the last bin.

    Parameters
    ----------
    endpoint
        What is survived, in words.
    unit
        Of the times: "days", "months" or "years".
    bins
        How many.
    alpha
        How much less the censored cases count, 0 to 1: 0 in Patho-Bench and here, 0.5 in SurvPath.
    times
        End of each bin, ascending, the last of them the largest time of any case; empty until fitted.
    members
        Of models that were fitted each on its own cases: the ends of each.
    """

    def __init__(
        self,
        endpoint: str = "overall survival",
        unit: str = "months",
        bins: int = 4,
        alpha: float = 0.0,
        times: Sequence[float] = (),
        members: Sequence[Sequence[float]] = (),
    ) -> None:
        if bins < 2 or not 0 <= alpha <= 1:
            raise ValueError(f"at least 2 bins and an alpha of 0 to 1 are needed, got {bins} and {alpha:g}")
        self.endpoint, self.unit, self.bins, self.alpha = endpoint, unit, bins, alpha
        self.times = tuple(map(float, times))
        self.members = tuple(tuple(map(float, member)) for member in members)
        for ends in (self.times, *self.members):
            if (ends or self.members) and (len(ends) != bins or np.any(np.diff([0.0, *ends]) <= 0)):
                raise ValueError(f"one end per bin is needed, ascending and above 0: {bins} bins, ends {list(ends)}")

    @property
    def columns(self) -> int:
        """The time, and 1 where the event was seen then or 0 where the case was censored."""
        return 2

    @property
    def outputs(self) -> int:
        return self.bins

    @property
    def evidence_names(self) -> Sequence[str]:
        self._must_be_fitted()
        texts = ("0", *told(self.times[:-1]))
        names = [f"hazard {start} to {end} {self.unit}" for start, end in pairwise(texts)]
        return [*names, f"hazard from {texts[-1]} {self.unit}"]

    def settings(self) -> Mapping[str, Any]:
        chosen = {"endpoint": self.endpoint, "unit": self.unit, "bins": self.bins, "alpha": self.alpha}
        told = chosen | {"times": list(self.times)}
        return told | ({"members": [list(member) for member in self.members]} if self.members else {})

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        check_times(wanted)
        if not self.times:
            self.fitted(wanted)

    def fitted(self, wanted: npt.NDArray[np.float64]) -> Self:
        """Return the task with the ends of bins that hold equally many of the uncensored times."""
        if self.times:
            return self
        known = known_times(wanted)
        seen = known[known[:, EVENT] == 1, TIME]
        ends = np.append(np.quantile(seen, np.arange(1, self.bins) / self.bins), known[:, TIME].max())
        if np.any(np.diff([0.0, *ends]) <= 0):
            raise MismatchError(
                f"{len(seen)} events at {len(np.unique(seen))} different times do not fill {self.bins} bins: set fewer "
                "bins, or give more cases."
            )
        return type(self)(self.endpoint, self.unit, self.bins, self.alpha, [float(end) for end in ends])

    def _joined(self, fits: Sequence[Self]) -> Self:
        """Bins that end at the mean of the fits' ends, the last at the largest time of any case (our choice)."""
        ends = np.array([fit.times for fit in fits])
        times = [*ends[:, :-1].mean(axis=0).tolist(), float(ends[:, -1].max())]
        return type(self)(self.endpoint, self.unit, self.bins, self.alpha, times, [fit.times for fit in fits])

    def of_member(self, outputs: "Float[Tensor, 'slides outputs']", member: int) -> "Float[Tensor, 'slides outputs']":
        """Return the hazards of the joined bins: the member's curve, read at their ends.

        Between the ends of the member's own bins its rate of events is constant, so that the logarithm of its curve is
        straight; its last bin, which has no end in the likelihood, ends where the joined one does (our choice).
        """
        if not self.members:
            return outputs
        ends = [0.0, *self.members[member][:-1], self.times[-1]]
        curves = logsigmoid(-outputs.double()).cumsum(dim=1).cpu().numpy()
        falls = [-np.diff(np.interp(self.times, ends, [0.0, *curve]), prepend=0.0) for curve in curves]
        held = np.clip(np.array(falls).reshape(curves.shape), *_FALLS)
        return torch.from_numpy(np.log(np.expm1(held))).to(outputs.device)

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the mean negative log likelihood of the known cases, in the form that the family of models uses.

        ``-(1 - c) (log S(y - 1) + log h(y)) - (1 - alpha) c log S(y)`` for a case in bin y, censored when c = 1 (Zadeh
        and Schmid, IEEE TPAMI 2020, with alpha as in MCAT).
        """
        self._must_be_fitted()
        known = wanted.isfinite().all(dim=1)
        logits, (times, events) = exact(outputs, wanted)[known], wanted[known].T
        y = torch.bucketize(times.contiguous(), wanted.new_tensor(self.times[:-1]), right=True)[:, None]
        stays = logsigmoid(-logits).cumsum(dim=1)  # log S at the end of each bin
        here = stays.gather(1, y)[:, 0]
        hazard = logits.gather(1, y)[:, 0]
        seen = here - logsigmoid(-hazard) + logsigmoid(hazard)
        likelihood = events * seen + (1 - self.alpha) * (1 - events) * here
        loss: Tensor = -likelihood.sum() / known.sum().clamp(min=1)
        return loss

    def _must_be_fitted(self) -> None:
        if not self.times:
            raise ValueError("fit the task on its training cases first: the ends of its bins are not known")

    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> SurvivalCurve:
        """Return the survival at the end of each bin, and the risk among the validation cases.

        Of an ensemble the mean of its folds' curves, so that its risk is the mean of theirs (our choice: the mean of
        hazards' logits can lie beyond all of the folds' curves).
        """
        self._must_be_fitted()
        if self.members and folds is not None:
            _, folds = together(self, self.members, folds)
        alone = () if folds is None else _curves(folds)
        curve = tuple(np.mean(alone, axis=0).tolist()) if alone else _curves(outputs[None])[0]
        below = calibration.share_below(-sum(curve)) if calibration else None
        cases = calibration.cases if calibration else 0
        return SurvivalCurve(self.endpoint, self.unit, self.times, curve, below, cases, alone)


def _curves(outputs: "Float[Tensor, 'slides outputs']") -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, logsigmoid(-outputs.double()).cumsum(dim=1).exp().tolist()))


TASK = Survival

"""Which slide's case has the event sooner: Cox's proportional hazards."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.outlook import Risk
from napari_pathlupi.tasks._task import Task, exact
from napari_pathlupi.tasks._times import check_times

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Cox(Task):
    """The log of a hazard that is proportional among cases; it orders them and states no time.

    The loss compares the cases of a batch with each other only: an event's risk set is those of its batch that were
    still watched then. That is a likelihood of its own, with sampled risk sets as in a nested case-control study
    (Goldstein and Langholz, Annals of Statistics 1992): it has the same optimum, and says less the smaller the batch
    is. A batch whose only event has nobody left to be compared with teaches nothing. Use batches of 32 and more.

    Parameters
    ----------
    endpoint
        What happens, in words.
    """

    def __init__(self, endpoint: str = "death") -> None:
        self.endpoint = endpoint

    @property
    def columns(self) -> int:
        """The time, and 1 where the event was seen then or 0 where the case was censored."""
        return 2

    @property
    def outputs(self) -> int:
        return 1

    @property
    def evidence_names(self) -> Sequence[str]:
        return ("log hazard",)

    def settings(self) -> Mapping[str, Any]:
        return {"endpoint": self.endpoint}

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        check_times(wanted)

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return minus the log partial likelihood per event, ties as Breslow has them (Biometrics 1974)."""
        known = wanted.isfinite().all(dim=1)
        risk, (times, events) = exact(outputs, wanted)[known, 0], wanted[known].T
        watched = times[None] >= times[:, None]  # row: an event; column: who is in its risk set
        others = risk[None].expand(watched.shape).masked_fill(~watched, -float("inf")).logsumexp(dim=1)
        loss: Tensor = ((others - risk) * events).sum() / events.sum().clamp(min=1)
        return loss

    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> Risk:
        """Return the log hazard, and its place among the validation cases."""
        risk = float(outputs[0])
        below = calibration.share_below(risk) if calibration else None
        alone = () if folds is None else tuple(folds[:, 0].tolist())
        return Risk(self.endpoint, risk, below, calibration.cases if calibration else 0, alone)


TASK = Cox

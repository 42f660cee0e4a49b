"""Which of several labels hold for a slide; any number of them may."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from torch.nn.functional import logsigmoid

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.labels import LabelProbabilities
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._task import Task, colours_of, exact

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Multilabel(Task):
    """Several labels, each yes or no by itself; some may be unknown for a case while others are known.

    Parameters
    ----------
    labels
        Their names, at least one, in the order of the columns.
    colours
        Hex colours, one per label; by default `PALETTE`.
    weights
        What a case that has the label counts in the loss, beside one that has not, per label; empty: alike;
        "balanced": as many times more as it is rarer.
    """

    def __init__(
        self,
        labels: Sequence[str],
        colours: Sequence[str] = (),
        weights: Sequence[float] | Literal["balanced"] = (),
    ) -> None:
        if not labels:
            raise ValueError("at least one label is needed")
        self.labels, self.colours = tuple(labels), colours_of(labels, colours)
        self.weights = weights if isinstance(weights, str) else tuple(weights)
        given = self.weights and self.weights != "balanced"
        if given and (
            isinstance(self.weights, str) or len(self.weights) != len(labels) or min(map(float, self.weights)) <= 0
        ):
            raise ValueError(f"one weight above 0 per label is needed, or 'balanced': got {self.weights!r}")

    @property
    def columns(self) -> int:
        """One per label: 1 where it holds, 0 where not."""
        return len(self.labels)

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @property
    def evidence_names(self) -> Sequence[str]:
        return self.labels

    def settings(self) -> Mapping[str, Any]:
        weights = self.weights if isinstance(self.weights, str) else list(self.weights)
        return {"labels": list(self.labels), "colours": list(self.colours), "weights": weights}

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        for name, column in zip(self.labels, wanted.T, strict=True):
            known = column[np.isfinite(column)]
            if set(known) != {0.0, 1.0}:
                found = ", ".join(f"{value:g}" for value in np.unique(known)[:4]) or "nothing"
                raise MismatchError(
                    f"the label {name} is {found} in its {len(known)} known cases: it must be 0 or 1, and both must "
                    "occur; leave it out or add cases."
                )

    def fitted(self, wanted: npt.NDArray[np.float64]) -> Self:
        """Return the task with the weights that "balanced" means for these cases."""
        if self.weights != "balanced":
            return self
        have, lack = (wanted == 1).sum(axis=0), (wanted == 0).sum(axis=0)
        weights = [float(n / p) if n and p else 1.0 for p, n in zip(have, lack, strict=True)]
        return type(self)(self.labels, self.colours, weights)

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the mean binary cross entropy over what is known."""
        if isinstance(self.weights, str):
            raise ValueError("fit the task on its training cases first: its weights are not known")
        outputs, known = exact(outputs, wanted), wanted.isfinite()
        truth = wanted.nan_to_num()
        weights = outputs.new_tensor(self.weights or [1.0] * len(self.labels))
        surprise = -(weights * truth * logsigmoid(outputs) + (1 - truth) * logsigmoid(-outputs))
        return surprise.where(known, 0.0).sum() / known.sum().clamp(min=1)

    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> LabelProbabilities:
        """Return the probability of each label: the sigmoid of its output over the temperature; and its set."""
        temperature = calibration.temperature if calibration else 1.0
        alone = () if folds is None else (folds.double() / temperature).sigmoid().tolist()
        probabilities = (outputs.double() / temperature).sigmoid().tolist()
        return LabelProbabilities(
            self.labels,
            tuple(probabilities),
            self.colours,
            tuple(map(tuple, alone)),
            calibration.possible(probabilities) if calibration else (),
            calibration.level if calibration else 0.0,
        )


TASK = Multilabel

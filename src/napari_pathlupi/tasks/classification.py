"""Which of several classes a slide belongs to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.answers import ClassProbabilities
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._task import Task

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#F0E442", "#CC79A7", "#999999")
"""Told apart by colour-blind people: Okabe and Ito, "Color Universal Design", 2008, with grey for black.

The order is our choice: what stands out from haematoxylin and eosin comes first.
"""


class Classification(Task):
    """One of several classes, with a probability for each.

    Parameters
    ----------
    classes
        Their names, at least two, in the order of the labels 0, 1, 2 ...
    colours
        Hex colours, one per class; by default `PALETTE`, again from its start after the eighth class.
    """

    def __init__(self, classes: Sequence[str], colours: Sequence[str] = ()) -> None:
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"at least two classes of different names are needed, got {list(classes)}")
        self.classes = tuple(classes)
        self.colours = tuple(colours) or tuple(PALETTE[i % len(PALETTE)] for i in range(len(classes)))
        if len(self.colours) != len(self.classes):
            raise ValueError(
                f"one colour per class is needed: {len(self.classes)} classes, {len(self.colours)} colours"
            )

    @property
    def outputs(self) -> int:
        return len(self.classes)

    @property
    def evidence_names(self) -> Sequence[str]:
        return self.classes

    def settings(self) -> Mapping[str, Any]:
        return {"classes": list(self.classes), "colours": list(self.colours)}

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        known = wanted[np.isfinite(wanted)]
        if not len(known) or not np.isin(known, range(len(self.classes))).all():
            raise MismatchError(
                f"{len(wanted)} cases, {len(known)} of them labelled with numbers up to {known.max(initial=0):g}, for "
                f"{len(self.classes)} classes: some must be labelled, each with the index of its class."
            )

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the mean cross entropy over the labelled slides; ``wanted`` holds the index of the class."""
        known = wanted[:, 0].isfinite()
        labels = wanted[known].long()
        return -outputs[known].log_softmax(dim=-1).gather(1, labels).sum() / known.sum().clamp(min=1)

    def answer(self, outputs: "Float[Tensor, 'outputs']") -> ClassProbabilities:
        """Return the class probabilities, the softmax of the outputs."""
        probabilities = outputs.double().softmax(dim=-1).tolist()
        return ClassProbabilities(self.classes, tuple(probabilities), self.colours)


TASK = Classification

"""Which of several classes a slide belongs to."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.answers import ClassProbabilities, NearestPrompt
from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.tasks._task import Task, colours_of, exact

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

BALANCED: Literal["balanced"] = "balanced"


class Classification(Task):
    """One of several classes, with a probability for each.

    Parameters
    ----------
    classes
        Their names, at least two, in the order of the labels 0, 1, 2 ...
    colours
        Hex colours, one per class; by default `PALETTE`, again from its start after the eighth class.
    weights
        What a case of each class counts in the loss; empty: all alike; "balanced": all classes together alike, so that
        a case counts cases / (classes * cases of its class).
    prompts
        Whether the classes are molecular prompts and the outputs say how near a slide is to each: no probabilities.
    """

    def __init__(
        self,
        classes: Sequence[str],
        colours: Sequence[str] = (),
        weights: Sequence[float] | Literal["balanced"] = (),
        prompts: bool = False,
    ) -> None:
        if len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"at least two classes of different names are needed, got {list(classes)}")
        self.classes, self.colours, self.prompts = tuple(classes), colours_of(classes, colours), prompts
        self.weights = weights if isinstance(weights, str) else tuple(weights)
        given = self.weights and self.weights != BALANCED
        if given and (
            isinstance(self.weights, str) or len(self.weights) != len(classes) or min(map(float, self.weights)) <= 0
        ):
            raise ValueError(f"one weight above 0 per class is needed, or {BALANCED!r}: got {self.weights!r}")

    @property
    def outputs(self) -> int:
        return len(self.classes)

    @property
    def evidence_names(self) -> Sequence[str]:
        return self.classes

    def settings(self) -> Mapping[str, Any]:
        weights = self.weights if isinstance(self.weights, str) else list(self.weights)
        told = {"classes": list(self.classes), "colours": list(self.colours), "weights": weights}
        return told | ({"prompts": True} if self.prompts else {})

    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        known = wanted[np.isfinite(wanted)]
        if not len(known) or not np.isin(known, range(len(self.classes))).all():
            raise MismatchError(
                f"{len(wanted)} cases, {len(known)} of them labelled with numbers up to {known.max(initial=0):g}, for "
                f"{len(self.classes)} classes: some must be labelled, each with the index of its class."
            )
        if len(np.unique(known)) < 2:
            raise MismatchError(
                f"all {len(known)} labelled cases are {self.classes[int(known[0])]}: cases of at least two classes are "
                "needed to tell them apart."
            )

    def fitted(self, wanted: npt.NDArray[np.float64]) -> Self:
        """Return the task with the weights that "balanced" means for these cases; a class without any counts 1."""
        if self.weights != BALANCED:
            return self
        counts = np.bincount(wanted[np.isfinite(wanted)].astype(int), minlength=len(self.classes))
        found = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights = [float(weight) if count else 1.0 for weight, count in zip(found, counts, strict=True)]
        return type(self)(self.classes, self.colours, weights, self.prompts)

    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the cross entropy times the weight of the class, as a mean over the labelled slides.

        The mean is over slides, not over their weights as in torch's own loss: there the weight of a step of one slide,
        as Threads' fine-tuning has it, would cancel, and parts of a step would not add up to it.
        """
        if isinstance(self.weights, str):
            raise ValueError("fit the task on its training cases first: its weights are not known")
        known = wanted[:, 0].isfinite()
        labels = wanted[known].long()
        surprise = -exact(outputs, wanted)[known].log_softmax(dim=-1).gather(1, labels)
        weights = surprise.new_tensor(self.weights or [1.0] * len(self.classes))[labels]
        return (surprise * weights).sum() / known.sum().clamp(min=1)

    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> ClassProbabilities:
        """Return the class probabilities: the softmax of the outputs over the temperature, and the conformal set."""
        temperature = calibration.temperature if calibration else 1.0
        probabilities = tuple((outputs.double() / temperature).softmax(dim=-1).tolist())
        alone = () if folds is None else (folds.double() / temperature).softmax(dim=-1).tolist()
        kind = NearestPrompt if self.prompts else ClassProbabilities
        return kind(
            self.classes,
            probabilities,
            self.colours,
            calibration.plausible(probabilities) if calibration else (),
            calibration.level if calibration else 0.0,
            tuple(map(tuple, alone)),
        )


TASK = Classification

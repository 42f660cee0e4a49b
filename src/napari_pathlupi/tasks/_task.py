"""What every task declares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.calibration import Calibration
from napari_pathlupi.core.results import Answer

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#F0E442", "#CC79A7", "#999999")
"""Told apart by colour-blind people: Okabe and Ito, "Color Universal Design", 2008, with grey for black.

The order is our choice: what stands out from haematoxylin and eosin comes first.
"""


class Task(ABC):
    """Gives numbers of a head their meaning. Built from the settings in a bundle's card.

    Each file of the room defines a subclass and names it ``TASK``. What is known of a case is a row of ``columns``
    numbers, NaN where unknown, in the order of `napari_pathlupi.core.cohort.Endpoint`.
    """

    @property
    def columns(self) -> int:
        """How many numbers say what is known of a case; 1 unless a task says otherwise."""
        return 1

    @abstractmethod
    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        """Raise `MismatchError` in one sentence unless the (cases, columns) numbers can be learned from."""

    def fitted(self, wanted: npt.NDArray[np.float64]) -> Self:
        """Return the task with what it takes from its training cases as settings; what is already set stays."""
        return self

    def joined(self, fits: Sequence[Self]) -> Self:
        """Return the task in which models answer together that were each fitted on training cases of their own.

        Parameters
        ----------
        fits
            The task as each model has it, in the order of the models.
        """
        alike = all(fit.settings() == fits[0].settings() for fit in fits)
        return fits[0] if alike else self._joined(fits)

    def _joined(self, fits: Sequence[Self]) -> Self:
        """By default this task: what the fits differ in (weights of the loss) changes no answer."""
        return self

    def of_member(self, outputs: "Float[Tensor, 'slides outputs']", member: int) -> "Float[Tensor, 'slides outputs']":
        """Return outputs of one of the joined models in the numbers of this task."""
        return outputs

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers the head gives."""

    @property
    @abstractmethod
    def evidence_names(self) -> Sequence[str]:
        """What each of those numbers stands for."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """JSON values to build the task from again."""

    @abstractmethod
    def loss(
        self, outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']"
    ) -> "Float[Tensor, '']":
        """Return the training loss over what is known (not NaN); 0 where nothing is."""

    @abstractmethod
    def answer(
        self,
        outputs: "Float[Tensor, 'outputs']",
        calibration: Calibration | None = None,
        folds: "Float[Tensor, 'folds outputs'] | None" = None,
    ) -> Answer:
        """Return what the numbers of one slide mean.

        Parameters
        ----------
        outputs
            Of the head; of an ensemble their mean over its folds.
        calibration
            What the model's validation cases say of its numbers, if it carries that.
        folds
            The outputs of each fold of an ensemble, to say how far they agree.
        """


def exact(outputs: "Float[Tensor, 'slides outputs']", wanted: "Float[Tensor, 'slides columns']") -> "Tensor":
    """Return the outputs in the finer of the two number types: mixed precision gives eight bits, too few for a loss."""
    return outputs.to((outputs[:0, :1] + wanted[:0, :1]).dtype)


def colours_of(names: Sequence[str], colours: Sequence[str]) -> tuple[str, ...]:
    """Return one colour per name: those given, or by default those of `PALETTE`, again from its start after the eighth.

    Raises
    ------
    ValueError
        When there are names alike, or not as many colours as names.
    """
    found = tuple(colours) or tuple(PALETTE[i % len(PALETTE)] for i in range(len(names)))
    if len(found) != len(names) or len(set(names)) < len(names):
        raise ValueError(
            f"one colour per class is needed and names that differ: {list(names)} and {len(found)} colours"
        )
    return found

"""What every task declares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.results import Answer

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class Task(ABC):
    """Gives numbers of a head their meaning. Built from the settings in a bundle's card.

    Each file of the room defines a subclass and names it ``TASK``. What is known of a case is a row of ``columns``
    numbers, NaN where unknown.
    """

    @property
    def columns(self) -> int:
        """How many numbers say what is known of a case; 1 unless a task says otherwise."""
        return 1

    @abstractmethod
    def check(self, wanted: npt.NDArray[np.float64]) -> None:
        """Raise `MismatchError` in one sentence unless the (cases, columns) numbers can be learned from."""

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
    def answer(self, outputs: "Float[Tensor, 'outputs']") -> Answer:
        """Return what the numbers of one slide mean."""

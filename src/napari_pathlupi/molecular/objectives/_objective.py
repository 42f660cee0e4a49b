"""What every molecular objective declares."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """Training only: makes an embedding answer for its transcriptome.

    Each file of the room defines a subclass and names it ``OBJECTIVE``; it is built with
    ``OBJECTIVE(width, targets, **settings)``.
    """

    @abstractmethod
    def forward(
        self,
        embedding: Float[Tensor, "slides width"],
        targets: Float[Tensor, "slides sets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        """Return the loss over the slides whose expression is ``known``; 0 when there are none."""

    @abstractmethod
    def activity(self, embedding: Float[Tensor, "slides width"]) -> Float[Tensor, "slides sets"] | None:
        """Return the gene-set activity that the embedding claims, or None where the objective cannot say."""

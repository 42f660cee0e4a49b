"""What every molecular objective declares."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

TaskLoss = Callable[[Tensor, Tensor], Tensor]
"""Outputs and what is wanted in, the loss of the task out."""


class Objective(nn.Module, ABC):
    """Training only: makes an embedding answer for its transcriptome.

    Each file of the room defines a subclass and names it ``OBJECTIVE``; it is built with
    ``OBJECTIVE(width, targets, **settings)``.
    """

    by_output: ClassVar[bool] = False
    """Whether it is built with ``outputs``, the number of outputs of the task."""
    reads_genes: ClassVar[bool] = False
    """Whether a column of the targets is a gene of a set, all genes of a set together, and not a set."""
    reads_tokens: ClassVar[bool] = False
    """Whether it reads (slides, sets, width) tokens where the slide encoder makes any, one for each gene set."""

    sets: tuple[str, ...] = ()
    """Names of the gene sets where they are not the names of the targets."""

    @abstractmethod
    def forward(
        self,
        embedding: Float[Tensor, "slides *tokens width"],
        targets: Float[Tensor, "slides targets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        """Return the loss over the slides whose expression is ``known``; 0 when there are none.

        A target that is NaN in a known row was not measured, and is left out.
        """

    @abstractmethod
    def activity(self, embedding: Float[Tensor, "slides *tokens width"]) -> Float[Tensor, "slides sets"] | None:
        """Return the gene-set activity that the embedding claims, or None where the objective cannot say."""

    def prepare(
        self, targets: Float[Tensor, "cases targets"], wanted: Float[Tensor, "cases columns"], task: TaskLoss
    ) -> None:
        """Learn once, before the training, what only the training cases can tell; most objectives need not.

        Parameters
        ----------
        targets, wanted
            Of all training cases, NaN where unknown.
        task
            Loss of the task: outputs and wanted in, one number out.
        """


def measured(
    targets: Float[Tensor, "slides targets"], known: Bool[Tensor, " slides"]
) -> tuple[Float[Tensor, "slides targets"], Float[Tensor, "slides targets"]]:
    """Return the targets with 0 for what is unknown, and 1 where they are known, 0 where not."""
    there = targets.isfinite() & known[:, None]
    return targets.where(there, 0), there.to(targets.dtype)

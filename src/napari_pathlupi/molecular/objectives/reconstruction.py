"""Reconstruction: the embedding must tell the activity of every gene set."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.molecular.objectives._objective import Objective, measured


class Reconstruction(Objective):
    """Squared error of one linear head per gene set.

    The paper reconstructs the expression of each gene set from the slide's tokens (known from the tensor names
    ``sig_reconstruct_net.*`` of its published checkpoints). Pooled targets, linear heads and the plain squared error
    are our choice: in a trial they beat heads with hidden layers and targets gene by gene.

    Parameters
    ----------
    width
        Length of the embedding.
    targets
        Number of gene sets.
    """

    def __init__(self, width: int, targets: int) -> None:
        super().__init__()
        self.heads = nn.Linear(width, targets)

    def forward(
        self,
        embedding: Float[Tensor, "slides width"],
        targets: Float[Tensor, "slides sets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        wanted, there = measured(targets, known)
        error = (self.heads(embedding) - wanted).square() * there
        by_slide = error.sum(dim=1) / there.sum(dim=1).clamp(min=1)
        loss: Tensor = by_slide.sum() / known.sum().clamp(min=1)
        return loss

    def activity(self, embedding: Float[Tensor, "slides width"]) -> Float[Tensor, "slides sets"]:
        activity: Tensor = self.heads(embedding)
        return activity


OBJECTIVE = Reconstruction

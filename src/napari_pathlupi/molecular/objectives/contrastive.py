"""Contrastive alignment: each slide must find its own transcriptome among those of the batch, and be found by it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from napari_pathlupi.molecular.objectives._objective import Objective, measured


class Contrastive(Objective):
    """Symmetric InfoNCE between a projection of the embedding and a network of the targets.

    Radford et al., "CLIP", 2021, and for slides and transcriptomes Jaume et al., "TANGLE", CVPR 2024, whose light
    network of expression this is: two blocks of linear, layer norm, ReLU and dropout, then linear. One way and the
    other are averaged. A target that was not measured counts as 0, the mean of a standardised one (our choice).

    Parameters
    ----------
    width
        Length of the embedding.
    targets
        Number of gene sets.
    shared
        Length of the vectors that are compared.
    temperature
        What cosines are divided by; 0.07 as CLIP begins with (TANGLE: 0.01).
    dropout
        Of the network of expression, in training.
    """

    def __init__(
        self, width: int, targets: int, shared: int = 64, temperature: float = 0.07, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.of_slide = nn.Linear(width, shared)
        blocks = [
            layer
            for size in (targets, shared)
            for layer in (nn.Linear(size, shared), nn.LayerNorm(shared), nn.ReLU(), nn.Dropout(dropout))
        ]
        self.of_expression = nn.Sequential(*blocks, nn.Linear(shared, shared))

    def forward(
        self,
        embedding: Float[Tensor, "slides *tokens width"],
        targets: Float[Tensor, "slides targets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        slides = normalize(self.of_slide(embedding[known]), dim=1)
        expressions = normalize(self.of_expression(measured(targets, known)[0][known]), dim=1)
        alike = slides @ expressions.mT / self.temperature
        own = torch.arange(len(alike), device=alike.device)
        both = cross_entropy(alike, own, reduction="sum") + cross_entropy(alike.mT, own, reduction="sum")
        return both / (2 * known.sum().clamp(min=1))

    def activity(self, embedding: Float[Tensor, "slides *tokens width"]) -> None:
        return None


OBJECTIVE = Contrastive

"""Reconstruction gene by gene: each gene set has a head that must tell the expression of its genes."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from napari_pathlupi.molecular.objectives._objective import Objective, measured


class ReconstructionGenes(Objective):
    """Per gene set, the squared error and ``(1 - cosine)^3`` of what a small network tells of its genes.

    *Known* of "PathLUPI", arXiv 2506.19681, from the tensor names of its published checkpoints: one network per gene
    set, ``sig_reconstruct_net.i``, whose fifth layer gives the genes. *Inferred* from its probable parent G-HANet (IEEE
    TMI, document 10830530): its layers, the two terms and their equal weight. *Our choice*: the mean over the sets in
    place of their sum, so that the weight does not grow with the number of sets; what was not measured is left out.

    Parameters
    ----------
    width
        Length of a token or of the embedding.
    targets
        Number of columns: the genes of all sets, one set after the other; a gene of two sets has two columns.
    sets
        How many genes each set has, by its name and in order; by default one set of all.
    dropout
        Of the middle of each network, in training.
    """

    reads_genes: ClassVar[bool] = True
    reads_tokens: ClassVar[bool] = True

    def __init__(self, width: int, targets: int, sets: Mapping[str, int] | None = None, dropout: float = 0.25) -> None:
        super().__init__()
        sizes = dict(sets or {"all genes": targets})
        if sum(sizes.values()) != targets or not all(sizes.values()):
            raise ValueError(f"the gene sets have {sum(sizes.values())} genes, and {targets} columns are given.")
        self.sets = tuple(sizes)
        self.sig_reconstruct_net = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, width), nn.LayerNorm(width), nn.ELU(), nn.Dropout(dropout), nn.Linear(width, size)
            )
            for size in sizes.values()
        )

    def forward(
        self,
        embedding: Float[Tensor, "slides *tokens width"],
        targets: Float[Tensor, "slides targets"],
        known: Bool[Tensor, " slides"],
    ) -> Float[Tensor, ""]:
        wanted, there = measured(targets, known)
        losses, counts = [], []
        start = 0
        for told in self._told(embedding):
            columns = slice(start, start := start + told.shape[1])
            real, truth = there[:, columns], wanted[:, columns]
            count = real.sum(dim=1)
            squared = ((told - truth).square() * real).sum(dim=1) / count.clamp(min=1)
            away = (1 - cosine_similarity(told * real, truth, dim=1)) ** 3
            counts.append((count > 0).to(squared.dtype))
            losses.append((squared + away) * counts[-1])
        by_slide = torch.stack(losses).sum(dim=0) / torch.stack(counts).sum(dim=0).clamp(min=1)
        return by_slide.sum() / known.sum().clamp(min=1)

    def activity(self, embedding: Float[Tensor, "slides *tokens width"]) -> Float[Tensor, "slides sets"]:
        """Return the mean over the genes of each set."""
        return torch.stack([told.mean(dim=1) for told in self._told(embedding)], dim=1)

    def _told(self, embedding: Tensor) -> list[Tensor]:
        """What is told of the genes of each set, (slides, genes)."""
        alone = embedding.ndim == 2
        return [net(embedding if alone else embedding[:, i]) for i, net in enumerate(self.sig_reconstruct_net)]


OBJECTIVE = ReconstructionGenes

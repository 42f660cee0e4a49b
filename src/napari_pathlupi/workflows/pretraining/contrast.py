"""Slides beside what was measured of them: the contrastive loss over all processes, and the rank of the embeddings."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, pad

from napari_pathlupi.workflows.parallel import processes

SMALLEST_SHARE = 1e-7
"""Added to each singular value's share, as published (RankMe)."""


def info_nce(
    slides: Float[Tensor, "pairs width"], molecules: Float[Tensor, "pairs width"], temperature: float
) -> Float[Tensor, ""]:
    """Return the symmetric InfoNCE of pairs: each must find the other among all, and be found by it.

    Radford et al., "CLIP", 2021: cosines over a temperature, cross-entropy one way and the other, averaged. That
    Threads, whose code is "modified from open_clip", uses this form is inferred.
    """
    alike = normalize(slides, dim=1) @ normalize(molecules, dim=1).mT / temperature
    own = torch.arange(len(alike), device=alike.device)
    return (cross_entropy(alike, own) + cross_entropy(alike.mT, own)) / 2


def pair_loss(
    embedded: Float[Tensor, "cases kinds width"], paired: Bool[Tensor, "cases measured"], temperature: float
) -> Float[Tensor, ""]:
    """Return the loss of a step: one InfoNCE per kind of measurement, averaged by their numbers of pairs.

    How RNA and DNA share a batch is not published: that each is compared within its own kind, and that a case with
    both is two pairs of one slide embedding, are our choice.

    Parameters
    ----------
    embedded
        Vectors of each case: the slide's, then one per kind of measurement.
    paired
        Whether each kind was measured.
    temperature
        As of `info_nce`.
    """
    total = embedded.new_zeros(())
    for kind in range(paired.shape[1]):
        rows = embedded[paired[:, kind]]
        if len(rows):
            total = total + len(rows) * info_nce(rows[:, 0], rows[:, 1 + kind], temperature)
    return total / paired.sum().clamp(min=1)


def gathered(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the rows of all processes, in their order, without gradients.

    Parameters
    ----------
    rows
        (counts[rank], …) of this process.
    counts
        Rows of each process.
    """
    if processes() < 2:
        return rows.detach()
    most = max(counts)
    padded = pad(rows.detach(), (0, 0) * (rows.ndim - 1) + (0, most - len(rows))).contiguous()
    everybody = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(everybody, padded)
    return torch.cat([part[:count] for part, count in zip(everybody, counts, strict=True)])


class SmoothRank:
    """How many directions embeddings fill: RankMe (Garrido et al., ICML 2023), as Threads chooses its epoch by.

    ::

        p_k = sigma_k / (sigma_1 + …) + 1e-7,    RankMe = exp(- sum_k p_k log p_k)

    The singular values sigma are taken from the sum of products, so that what is remembered does not grow with the
    embeddings.

    Parameters
    ----------
    width
        Length of an embedding.
    """

    def __init__(self, width: int) -> None:
        self._products, self._count = np.zeros((width, width)), 0

    def add(self, rows: Float[Tensor, "cases width"]) -> None:
        """Take in some embeddings."""
        values = rows.detach().double().cpu().numpy()
        self._products += values.T @ values
        self._count += len(values)

    @property
    def value(self) -> float:
        """The rank, between 1 and the smaller of embeddings and width."""
        squares = np.linalg.eigvalsh(self._products)[::-1][: min(self._count, len(self._products))]
        singular = np.sqrt(np.maximum(squares, 0.0))
        shares = singular / max(float(singular.sum()), 1e-300) + SMALLEST_SHARE
        return float(np.exp(-(shares * np.log(shares)).sum()))

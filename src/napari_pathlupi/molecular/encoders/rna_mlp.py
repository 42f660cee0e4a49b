"""A small network over all genes: the RNA encoder that needs no published weights."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.molecular.encoders._encoder import MolecularEncoder

CONSTANT = 1e-4
"""A gene whose standard deviation is no larger, in log2 units, does not vary; our choice."""


class RNAMLP(MolecularEncoder):
    """Two hidden layers over standardised genes.

    The layers are those of TANGLE's RNA encoder (Jaume et al., "Transcriptomics-guided slide representation learning in
    computational pathology", CVPR 2024): twice linear, layer norm, ReLU, dropout 0.2, then linear. Genes standardised
    over the training cases, so that a gene counts by how it varies and one that nobody measured counts as the average,
    and the widths are our choice.

    Parameters
    ----------
    columns
        Gene symbols.
    width
        Length of the vector of a case.
    hidden
        Width of both hidden layers.
    dropout
        In training, after each hidden layer.
    """

    reads: ClassVar[str] = "rna"
    centre: Tensor
    spread: Tensor

    def __init__(self, columns: Sequence[str], width: int = 1024, hidden: int = 1024, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("centre", torch.zeros(len(columns)))
        self.register_buffer("spread", torch.ones(len(columns)))
        self.layers = nn.Sequential(
            *(nn.Linear(len(columns), hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(hidden, width),
        )

    def fit(self, values: Float[Tensor, "cases columns"]) -> None:
        known = values.isfinite()
        if not known.any():
            raise SettingsError(
                "no gene of the training cases was measured: check that their names are in both tables."
            )
        count = known.sum(dim=0).clamp(min=1)
        centre = values.where(known, 0).sum(dim=0) / count
        spread = ((values - centre).where(known, 0).square().sum(dim=0) / count).sqrt()
        self.centre.copy_(centre)
        self.spread.copy_(spread.where(spread > CONSTANT, torch.inf))  # such a gene is 0 in every case

    def forward(self, values: Float[Tensor, "cases columns"]) -> Float[Tensor, "cases width"]:
        vectors: Tensor = self.layers(((values - self.centre) / self.spread).nan_to_num(0.0))
        return vectors


ENCODER = RNAMLP

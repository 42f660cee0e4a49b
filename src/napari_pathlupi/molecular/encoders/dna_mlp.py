"""Mutations and copy number of a panel of genes, as Threads reads them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from napari_pathlupi.molecular.encoders._encoder import MolecularEncoder


class DNAMLP(MolecularEncoder):
    """Four linear layers over a multi-hot vector of alterations.

    Vaidya et al., "Molecular-driven foundation model for oncologic pathology" (Threads), arXiv 2501.16652, Online
    Methods: 1,673 inputs and hidden units, 1,024 outputs, ReLU, dropout 0.2, 10,128,068 parameters. That number is met
    exactly with an affine norm after every linear layer, the last one too; that it is a layer norm, and that no ReLU
    follows the last one, is our choice. What nobody measured counts as not altered (our choice).

    Parameters
    ----------
    columns
        An alteration each.
    width
        Length of the vector of a case.
    hidden
        Width of the three hidden layers; 0: the number of columns, as in the paper.
    dropout
        In training, after each hidden layer.
    """

    reads: ClassVar[str] = "dna"

    def __init__(self, columns: Sequence[str], width: int = 1024, hidden: int = 0, dropout: float = 0.2) -> None:
        super().__init__()
        self.width = width
        sizes = [len(columns), *3 * [hidden or len(columns)]]
        blocks = [
            nn.Sequential(nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in pairwise(sizes)
        ]
        self.layers = nn.Sequential(*blocks, nn.Linear(sizes[-1], width), nn.LayerNorm(width))

    def forward(self, values: Float[Tensor, "cases columns"]) -> Float[Tensor, "cases width"]:
        vectors: Tensor = self.layers(values.nan_to_num(0.0))
        return vectors


ENCODER = DNAMLP

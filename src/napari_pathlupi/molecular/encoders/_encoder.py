"""What every molecular encoder declares."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn


class MolecularEncoder(nn.Module, ABC):
    """Turns what was measured of a case into a vector, for a slide's embedding to be near to.

    Each file of the room defines a subclass and names it ``ENCODER``; it is built with
    ``ENCODER(columns, **settings)``, where ``columns`` are the names of the table's columns and the settings are JSON
    values.
    """

    reads: ClassVar[str]
    """"rna": log2(TPM + 1), a column per gene symbol; "dna": 0 or 1, columns as `napari_pathlupi.molecular.dna` has
    them."""

    width: int
    """Length of the vector of a case."""

    @abstractmethod
    def forward(self, values: Float[Tensor, "cases columns"]) -> Float[Tensor, "cases width"]:
        """Encode cases; NaN where nobody measured, which must not make the vector NaN."""

    def fit(self, values: Float[Tensor, "cases columns"]) -> None:
        """Take from the training cases what is fixed before any step; most encoders need nothing."""

"""CLAM with a single attention branch: ABMIL that also learns which tiles are typical of a class."""

from typing import ClassVar

from napari_pathlupi.slide_encoders._clam import CLAM


class ClamSB(CLAM):
    """One attention for all classes; see `CLAM`.

    Parameters
    ----------
    dim, width, hidden, dropout, outputs, sampled
        As of `CLAM`.
    """

    by_output: ClassVar[bool] = True

    def __init__(
        self, dim: int, outputs: int = 2, width: int = 64, hidden: int = 32, dropout: float = 0.25, sampled: int = 8
    ) -> None:
        super().__init__(dim, width, hidden, dropout, 1, outputs, sampled)


ENCODER = ClamSB

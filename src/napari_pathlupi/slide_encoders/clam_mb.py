"""CLAM with several attention branches: each class looks where it wants."""

from typing import ClassVar

from napari_pathlupi.slide_encoders._clam import CLAM


class ClamMB(CLAM):
    """One attention per class; see `CLAM`.

    The published network scores a class from its own branch alone; the linear head here reads all of them (our
    choice, so that every encoder has the same head).

    Parameters
    ----------
    dim, width, hidden, dropout, outputs, sampled
        As of `CLAM`.
    """

    by_output: ClassVar[bool] = True

    def __init__(
        self, dim: int, outputs: int = 2, width: int = 64, hidden: int = 32, dropout: float = 0.25, sampled: int = 8
    ) -> None:
        super().__init__(dim, width, hidden, dropout, outputs, outputs, sampled)


ENCODER = ClamMB

"""Gated attention pooling: the baseline that every other slide encoder must beat."""

from napari_pathlupi.slide_encoders._pooling import GatedPooling


class ABMIL(GatedPooling):
    """The attention-weighted mean of projected tiles.

    Ilse, Tomczak and Welling, "Attention-based deep multiple instance learning", ICML 2018, equations 7 and 9. The
    widths and the dropout are our choice.

    Parameters
    ----------
    dim, width, hidden, dropout
        As of `GatedPooling`.
    """

    def __init__(self, dim: int, width: int = 64, hidden: int = 32, dropout: float = 0.25) -> None:
        super().__init__(dim, width, hidden, dropout)


ENCODER = ABMIL

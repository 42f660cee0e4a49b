"""Gated attention pooling: the baseline that every other slide encoder must beat."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._pooling import AttentionPooling, GatedAttention, shares_of


class ABMIL(AttentionPooling):
    """The attention-weighted mean of projected tiles.

    Ilse, Tomczak and Welling, "Attention-based deep multiple instance learning", ICML 2018, equations 7 and 9. The
    widths and the dropout are our choice.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    width
        Length of a projected tile, and so of the embedding.
    hidden
        Width of the gate.
    dropout
        Share of a projected tile's numbers set to zero in training.
    """

    def __init__(self, dim: int, width: int = 64, hidden: int = 32, dropout: float = 0.25) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout))
        self.gate = GatedAttention(width, hidden)

    def attend(
        self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]
    ) -> tuple[Float[Tensor, "slides tiles part"], Float[Tensor, "slides heads tiles"]]:
        tiles = self.project(features)  # s n p
        return tiles, shares_of(self.gate(tiles), real)[:, None]


ENCODER = ABMIL

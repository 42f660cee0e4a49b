"""The layers in which tokens look at tiles and at each other."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_pathlupi.slide_encoders._pooling import shares_of


class GatedFeedForward(nn.Module):
    """Two layers about a gated GELU; Shazeer, "GLU variants improve transformer", 2020.

    Parameters
    ----------
    width
        Length of a token.
    wider
        How many times as wide the middle is; 4 as in G-HANet.
    dropout
        Of the middle, in training.
    """

    def __init__(self, width: int, dropout: float, wider: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * wider * width)
        self.narrow = nn.Sequential(nn.Dropout(dropout), nn.Linear(wider * width, width))

    def forward(self, tokens: Float[Tensor, "slides tokens width"]) -> Float[Tensor, "slides tokens width"]:
        """Return what is to be added to the tokens."""
        value, gate = self.widen(self.norm(tokens)).chunk(2, dim=-1)
        added: Tensor = self.narrow(value * nn.functional.gelu(gate))
        return added


class CrossAttention(nn.Module):
    """Tokens look at tiles, in several heads.

    Parameters
    ----------
    width
        Length of a token and of a tile, a multiple of ``heads``.
    heads
        How many.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width)

    def asked(self, tokens: Float[Tensor, "slides tokens width"]) -> Float[Tensor, "slides heads tokens part"]:
        """Return the scaled query of each token in each head."""
        queries = self._by_head(self.query(self.norm(tokens)))
        scaled: Tensor = queries * queries.shape[-1] ** -0.5
        return scaled

    def offered(
        self, tiles: Float[Tensor, "slides tiles width"]
    ) -> tuple[Float[Tensor, "slides heads tiles part"], Float[Tensor, "slides heads tiles part"]]:
        """Return the key and the value of each tile in each head."""
        keys, values = map(self._by_head, self.key_value(tiles).chunk(2, dim=-1))
        return keys, values

    def taken(self, parts: Float[Tensor, "slides heads tokens part"]) -> Float[Tensor, "slides tokens width"]:
        """Return the tokens made of what each head took."""
        tokens: Tensor = self.out(parts.transpose(1, 2).flatten(2))
        return tokens

    def forward(
        self,
        tokens: Float[Tensor, "slides tokens width"],
        tiles: Float[Tensor, "slides tiles width"],
        real: Bool[Tensor, "slides tiles"],
    ) -> tuple[Float[Tensor, "slides tokens width"], Float[Tensor, "slides tokens tiles"]]:
        """Return what each token takes, and its score of each tile, mean of the heads."""
        keys, values = self.offered(tiles)
        scores = self.asked(tokens) @ keys.mT  # s h k n
        shares = shares_of(scores, real[:, None, None])
        return self.taken(shares @ values), scores.mean(dim=1)

    def _by_head(self, vectors: Tensor) -> Tensor:
        return vectors.view(*vectors.shape[:2], self.heads, -1).transpose(1, 2)


class SelfAttention(nn.Module):
    """Tokens look at each other, in several heads.

    Parameters
    ----------
    width, heads
        As of `CrossAttention`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.among = CrossAttention(width, heads)

    def forward(self, tokens: Float[Tensor, "slides tokens width"]) -> Float[Tensor, "slides tokens width"]:
        """Return what is to be added to the tokens."""
        real = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        added: Tensor = self.among(tokens, self.norm(tokens), real)[0]
        return added

"""CONCH's attentional pooling, in torch (Yu et al., CoCa, arXiv 2205.01917, section 3.2: one query for one vector)."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from napari_pathlupi.patch_encoders._transformers import resized_grid, with_positions_of

HEADS = 8
NOT_FOR_IMAGES = ("attn_pool_caption.", "ln_caption.", "proj_contrast")

Tokens = Float[Tensor, "tiles tokens width"]


class Queried(nn.Module):
    """A trunk whose tokens are looked at by one learned query; names are those of the published tensors.

    Parameters
    ----------
    trunk
        Has ``forward_features`` and ``embed_dim``.
    dim
        Length of the vector.
    biased
        See `QueriedTokens`.
    """

    def __init__(self, trunk: Any, dim: int, biased: bool) -> None:
        super().__init__()
        self.trunk = trunk
        self.attn_pool_contrast = (Biased if biased else Unbiased)(dim, trunk.embed_dim)
        self.ln_contrast = nn.LayerNorm(dim)

    def forward(self, planes: Float[Tensor, "tiles 3 side side"]) -> Float[Tensor, "tiles dim"]:
        vectors: Tensor = self.ln_contrast(self.attn_pool_contrast(self.trunk.forward_features(planes)))
        return vectors


class Biased(nn.Module):
    """One query through torch's own attention.

    Parameters
    ----------
    dim, width
        Length of the query and of a token.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(1, dim))
        self.attn = nn.MultiheadAttention(dim, HEADS, kdim=width, vdim=width, batch_first=True)
        self.ln_q, self.ln_k = nn.LayerNorm(dim), nn.LayerNorm(width)

    def forward(self, tokens: Tokens) -> Float[Tensor, "tiles dim"]:
        keys, query = self.ln_k(tokens), self.ln_q(self.query).expand(len(tokens), 1, -1)
        seen: Tensor = self.attn(query, keys, keys, need_weights=False)[0]
        return seen[:, 0]


class Unbiased(nn.Module):
    """One query through projections without bias, keys and values from one matrix.

    Parameters
    ----------
    dim, width
        Length of the query and of a token.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.empty(1, dim))
        self.ln_q, self.ln_k = nn.LayerNorm(dim), nn.LayerNorm(width)
        self.to_q, self.to_out = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(width, 2 * dim, bias=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "tiles dim"]:
        query = self.to_q(self.ln_q(self.query)).expand(len(tokens), 1, -1)
        keys, values = self.to_kv(self.ln_k(tokens)).chunk(2, dim=-1)
        seen = scaled_dot_product_attention(_in_heads(query), _in_heads(keys), _in_heads(values))
        vectors: Tensor = self.to_out(seen.transpose(1, 2).flatten(2))
        return vectors[:, 0]


def _in_heads(tokens: Tokens) -> Float[Tensor, "tiles heads tokens _"]:
    return tokens.reshape(*tokens.shape[:2], HEADS, -1).transpose(1, 2)


def image_part(
    published: Mapping[str, Tensor], network: nn.Module, prefix: str, as_published_at_224: bool
) -> dict[str, Tensor]:
    """Return the image part of a published file under the network's names.

    Parameters
    ----------
    published
        Tensors of the file.
    network
        Tells the grid of its position embeddings.
    prefix
        Of the names of the image part.
    as_published_at_224
        Whether position embeddings are resized by the scale (28 + 0.1) / 14, as CONCH 1.5 does, or to the size.
    """
    tensors = {name.removeprefix(prefix): value for name, value in published.items() if name.startswith(prefix)}
    tensors = {name: value for name, value in tensors.items() if not name.startswith(NOT_FOR_IMAGES)}
    if as_published_at_224 and "trunk.pos_embed" in tensors:
        return tensors | {"trunk.pos_embed": _from_224(tensors["trunk.pos_embed"], network)}
    return with_positions_of(network, tensors, "trunk.pos_embed", "bilinear")


def _from_224(positions: Float[Tensor, "1 tokens width"], network: Any) -> Float[Tensor, "1 _ width"]:
    """Resize by DINO's rule (Caron et al. 2021), whose 0.1 keeps the size from being rounded down."""
    side = network.trunk.patch_embed.grid_size[0]
    first, grid = positions[:, :1], positions[:, 1:]
    if grid.shape[1] != 14 * 14:
        grid = resized_grid(grid, (14, 14), "bilinear", antialias=False)
    planes = grid.reshape(1, 14, 14, -1).permute(0, 3, 1, 2).float()
    planes = interpolate(planes, scale_factor=(side + 0.1) / 14, mode="bicubic", align_corners=False)
    return torch.cat([first, planes.flatten(2).transpose(1, 2)], dim=1)

"""A light relative of PathLUPI: tokens made from the slide share one gate, and their readout is linear."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from napari_pathlupi.slide_encoders._pooling import AttentionPooling, GatedAttention, shares_of


class PathLUPILight(AttentionPooling):
    """Tokens made from the slide, each a weighted sum of its tiles.

    ::

        E = drop(relu(W x))                                   tiles, projected            wsi_net
        g = gated score of E                                  one gate for all            gate
        s = sum_n softmax(g)_n E_n                            summary of the slide
        T = Linear(relu(Linear(s)))                           K tokens                    token_generator
        a = softmax_n(cos(T_k, E_n) + g_n)                    share of each tile
        z = [sum_n a_kn E_n  for k], flattened or averaged    embedding

    The method: "PathLUPI", arXiv 2506.19681. *Known*, from the tensor names of its published checkpoints: the tiles
    pass a linear layer ``wsi_net.0`` of width ``path_proj_size``; ``token_generator`` is two linear layers about an
    activation whose last gives ``num_tokens * path_proj_size`` numbers; gene sets are reconstructed in training.
    *Inferred*: the tokens are generated from a summary of the slide and look at its tiles by cross-attention.
    *Our choice*: everything else. The summary by gated attention, and that gate as a bias of every token's attention;
    the cosine, bounded so that a token can shift the gate but not silence it (with ``T_k · E_n / sqrt(width)``
    attention found the planted tiles of simulated bags less well); tiles as their own keys and values, one head, all
    sizes; and a linear readout, so that the evidence of each tile is exact, by default of the mean of the tokens (kept
    apart they overfitted the simulated bags). Published weights do not fit this network.

    Parameters
    ----------
    dim
        Length of a tile's feature vector.
    projection
        Length of a projected tile and of a token.
    tokens
        How many tokens.
    hidden
        Width of the gate.
    dropout
        Share of a projected tile's numbers set to zero in training.
    flatten
        Whether the embedding keeps the tokens apart (``tokens * projection`` long) or is their mean (``projection``).
    """

    def __init__(
        self,
        dim: int,
        projection: int = 64,
        tokens: int = 8,
        hidden: int = 32,
        dropout: float = 0.25,
        flatten: bool = False,
    ) -> None:
        super().__init__()
        self.width = tokens * projection if flatten else projection
        self.flatten = flatten
        self.tokens = tokens
        self.wsi_net = nn.Sequential(nn.Linear(dim, projection), nn.ReLU(), nn.Dropout(dropout))
        self.gate = GatedAttention(projection, hidden)
        self.token_generator = nn.Sequential(
            nn.Linear(projection, projection), nn.ReLU(), nn.Linear(projection, tokens * projection)
        )

    def attend(
        self, features: Float[Tensor, "slides tiles dim"], real: Bool[Tensor, "slides tiles"]
    ) -> tuple[Float[Tensor, "slides tiles part"], Float[Tensor, "slides heads tiles"]]:
        tiles = self.wsi_net(features)  # s n p
        scores = self.gate(tiles)  # s 1 n
        summary = torch.einsum("sn,snp->sp", shares_of(scores[:, 0], real), tiles)
        tokens = self.token_generator(summary).unflatten(1, (self.tokens, -1))  # s k p
        match = normalize(tokens, dim=-1) @ normalize(tiles, dim=-1).mT  # s k n
        shares = shares_of(match + scores, real[:, None])
        return tiles, shares if self.flatten else shares.mean(dim=1, keepdim=True)


ENCODER = PathLUPILight

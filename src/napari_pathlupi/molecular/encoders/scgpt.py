"""A transformer over genes of the shape of scGPT, which Threads reads RNA with."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad, relu, scaled_dot_product_attention

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.molecular.encoders._encoder import MolecularEncoder

DROPOUT = 0.2
MAX_VALUE, CLS_VALUE = 512.0, -2.0
"""Expression above the first counts as it, the second is that of <cls>: as scGPT's published code and settings have
it."""


class Block(nn.Module):
    """Self-attention, then two linear layers, each added and then normalised.

    Vaswani et al., "Attention is all you need", 2017, with a ReLU between the two layers.

    Parameters
    ----------
    token
        Length of a token, and width between the layers.
    heads
        Of the attention.
    """

    def __init__(self, token: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(token, 3 * token), nn.Linear(token, token)
        self.linear1, self.linear2 = nn.Linear(token, token), nn.Linear(token, token)
        self.norm1, self.norm2 = nn.LayerNorm(token), nn.LayerNorm(token)
        self.drop = nn.Dropout(DROPOUT)

    def forward(
        self, tokens: Float[Tensor, "cases tokens token"], seen: Bool[Tensor, "cases 1 1 tokens"] | None
    ) -> Float[Tensor, "cases tokens token"]:
        """Return the tokens after the block; nobody looks where ``seen`` is False."""
        q, k, v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(tokens).chunk(3, dim=-1))
        taken = scaled_dot_product_attention(q, k, v, seen, DROPOUT if self.training else 0.0)  # c h t d
        tokens = self.norm1(tokens + self.drop(self.out(taken.transpose(1, 2).flatten(2))))
        added = self.linear2(self.drop(relu(self.linear1(tokens))))
        after: Tensor = self.norm2(tokens + self.drop(added))
        return after


class ScGPT(MolecularEncoder):
    """A token per gene, made of which gene it is and how much it is expressed; the mean of all tokens, projected.

    Vaidya et al., "Molecular-driven foundation model for oncologic pathology" (Threads), arXiv 2501.16652, Online
    Methods, after Cui et al., "scGPT", Nature Methods 2024: gene embedding of 512 with layer norm, expression through
    two layers with layer norm, their sum through 12 blocks of 8 heads, the mean of all tokens with <cls>, two layers to
    1,024. The place of the dropout in the expression's layers (that of the published code), the width between the two
    layers of the projection, leaving out genes that nobody measured, and how many genes a step takes are our choice:
    the paper's number is not known.

    It holds the embeddings of its own genes only; `napari_pathlupi.molecular.scgpt_files` takes them, and all
    else but the projection, from a published checkpoint.

    Parameters
    ----------
    columns
        Gene symbols.
    width
        Length of the vector of a case.
    token
        Length of a token, and width between the two linear layers of a block.
    blocks, heads
        Of the transformer.
    genes_per_step
        How many genes, drawn anew at each step of training, the cases of a batch are read with; 0: all. Without
        training always all.
    """

    reads: ClassVar[str] = "rna"

    def __init__(
        self,
        columns: Sequence[str],
        width: int = 1024,
        token: int = 512,
        blocks: int = 12,
        heads: int = 8,
        genes_per_step: int = 1500,
    ) -> None:
        super().__init__()
        if token % heads:
            raise SettingsError(
                f"tokens of {token} numbers do not part into {heads} heads: give a multiple of {heads}."
            )
        self.width, self.genes_per_step = width, genes_per_step
        self.genes = nn.Embedding(1 + len(columns), token)  # the first is <cls>
        self.genes_norm = nn.LayerNorm(token)
        self.values = nn.Sequential(
            nn.Linear(1, token), nn.ReLU(), nn.Linear(token, token), nn.LayerNorm(token), nn.Dropout(DROPOUT)
        )
        self.blocks = nn.ModuleList(Block(token, heads) for _ in range(blocks))
        self.project = nn.Sequential(nn.Linear(token, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, values: Float[Tensor, "cases columns"]) -> Float[Tensor, "cases width"]:
        genes = torch.arange(values.shape[1], device=values.device)
        if self.training and 0 < self.genes_per_step < len(genes):
            genes = torch.randperm(len(genes), device=values.device)[: self.genes_per_step]
        expression = pad(values[:, genes], (1, 0), value=CLS_VALUE)  # c t
        measured = expression.isfinite()
        amounts = self.values(expression.nan_to_num(0.0).clamp(max=MAX_VALUE)[..., None])
        tokens = self.genes_norm(self.genes(pad(genes + 1, (1, 0)))) + amounts
        seen = None if measured.all() else measured[:, None, None]
        for block in self.blocks:
            tokens = block(tokens, seen)
        weights = measured[..., None].to(tokens.dtype)
        vectors: Tensor = self.project((tokens * weights).sum(dim=1) / weights.sum(dim=1))
        return vectors


ENCODER = ScGPT

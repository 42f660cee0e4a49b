"""Attention of every token to every other at a cost that grows with their number, not with its square."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

PINV_STEPS, KERNEL = 6, 33
"""Steps towards the pseudo-inverse, and tokens that the convolution of the values spans: as TransMIL has them."""


class NystromAttention(nn.Module):
    """Self-attention through landmarks.

    Xiong et al., "Nyströmformer", AAAI 2021: with the means of equal runs of tokens as landmarks, the matrix of shares
    is the product of three small ones, the middle one the pseudo-inverse (equation 15) of the landmarks' own shares; a
    convolution of the values along the tokens is added (section 3.3). As in TransMIL, zeros before the first token
    make the runs equal. Each matrix is scaled by its own norms, so that slides in a batch do not meet (our choice).

    Parameters
    ----------
    width
        Length of a token.
    heads, landmarks
        How many of each.
    dropout
        Of the result, in training.
    """

    def __init__(self, width: int, heads: int, landmarks: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.landmarks = heads, landmarks
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))
        self.near = nn.Conv2d(heads, heads, (KERNEL, 1), padding=(KERNEL // 2, 0), groups=heads, bias=False)

    def forward(self, tokens: Float[Tensor, "slides tokens width"]) -> Float[Tensor, "slides tokens width"]:
        """Return what each token takes from all."""
        count = tokens.shape[1]
        padded = pad(tokens, (0, 0, -count % self.landmarks, 0))
        q, k, v = self._queries_keys_values(padded)
        ql, kl = (part.reshape(*part.shape[:2], self.landmarks, -1, part.shape[-1]).mean(dim=3) for part in (q, k))
        far, middle, back = (a @ b.mT for a, b in ((q, kl), (ql, kl), (ql, k)))
        inverse = pseudo_inverse(middle.softmax(dim=-1))
        taken = far.softmax(dim=-1) @ (inverse @ (back.softmax(dim=-1) @ v)) + self.near(v)  # s h t d
        out: Tensor = self.to_out(taken.transpose(1, 2).flatten(2))
        return out[:, -count:]

    def shares_of_first(self, tokens: Float[Tensor, "slides tokens width"]) -> Float[Tensor, "slides heads others"]:
        """Return the shares at which the first token takes the others, before any approximation."""
        q, k, _ = self._queries_keys_values(tokens)
        scores = q[:, :, 0, None] @ k[:, :, 1:].mT
        return scores[:, :, 0].to(self.to_qkv.weight).softmax(dim=-1)  # in full precision in mixed training too

    def _queries_keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parts = self.to_qkv(tokens).view(*tokens.shape[:2], 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each s h t d
        return q * q.shape[-1] ** -0.5, k, v


def pseudo_inverse(matrix: Float[Tensor, "*matrices m m"]) -> Float[Tensor, "*matrices m m"]:
    """Return nearly the Moore-Penrose inverse: Xiong et al., equation 15, a fixed number of steps."""
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    norm = matrix.abs().sum(dim=-1).amax(-1) * matrix.abs().sum(dim=-2).amax(-1)
    inverse = matrix.mT / norm[..., None, None]
    for _ in range(PINV_STEPS):
        near_one = matrix @ inverse
        inverse = 0.25 * inverse @ (13 * one - near_one @ (15 * one - near_one @ (7 * one - near_one)))
    return inverse

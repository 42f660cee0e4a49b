"""Vision transformers in torch: pooling of their tokens, and their tensors under the names that timm gives them."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

Tokens = Float[Tensor, "tiles tokens width"]


class Pooled(nn.Module):
    """A vision transformer of timm whose tokens become one vector.

    Parameters
    ----------
    trunk
        Has ``forward_features``, which gives normed tokens, and ``num_prefix_tokens`` before the patches.
    pooling
        See `VisionTransformer`.
    """

    def __init__(self, trunk: nn.Module, pooling: str) -> None:
        super().__init__()
        self.trunk, self.pooling = trunk, pooling

    def forward(self, planes: Float[Tensor, "tiles 3 side side"]) -> Float[Tensor, "tiles dim"]:
        trunk: Any = self.trunk
        return pooled(trunk.forward_features(planes), trunk.num_prefix_tokens, self.pooling)


def pooled(tokens: Tokens, prefixes: int, pooling: str) -> Float[Tensor, "tiles dim"]:
    """Return the class token, or it and the mean over the patch tokens, which follow the ``prefixes`` first tokens."""
    first = tokens[:, 0]
    return first if pooling == "cls" else torch.cat([first, tokens[:, prefixes:].mean(1)], dim=1)


def renamed(published: Mapping[str, Tensor], layout: str) -> dict[str, Tensor]:
    """Return tensors under timm's names; what timm's network does not have is left out."""
    if layout == "timm":
        return dict(published)
    return from_dinov2(published) if layout == "dinov2" else from_transformers(published)


def from_dinov2(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of Meta's DINOv2 under timm's names."""
    names = {".mlp.w12.": ".mlp.fc1.", ".mlp.w3.": ".mlp.fc2.", "register_tokens": "reg_token"}
    tensors = {_replaced(key, names): value for key, value in published.items() if key != "mask_token"}
    return _class_apart(tensors) if "reg_token" in tensors else tensors


TRANSFORMERS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "encoder.layer.": "blocks.",
    ".attention.output.dense.": ".attn.proj.",
    ".layernorm_before.": ".norm1.",
    ".layernorm_after.": ".norm2.",
    ".intermediate.dense.": ".mlp.fc1.",
    ".output.dense.": ".mlp.fc2.",
    ".mlp.weights_in.": ".mlp.fc1.",
    ".mlp.weights_out.": ".mlp.fc2.",
    ".layer_scale1.lambda1": ".ls1.gamma",
    ".layer_scale2.lambda1": ".ls2.gamma",
}
"""Names in the files of ViTModel, Dinov2Model and Dinov2WithRegistersModel, and timm's for the same."""


def from_transformers(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a ViT or DINOv2 of transformers under timm's names; query, key and value become one."""
    tensors, parts = {}, {}
    for key, value in published.items():
        if key == "embeddings.mask_token" or key.startswith("pooler."):
            continue
        part = re.fullmatch(r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)\.(weight|bias)", key)
        if part:
            parts[part.groups()] = value
        else:
            tensors[re.sub(r"^layernorm\.", "norm.", _replaced(key, TRANSFORMERS))] = value
    for block, kind in {(block, kind) for block, _, kind in parts}:
        three = [parts[block, which, kind] for which in ("query", "key", "value") if (block, which, kind) in parts]
        tensors[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(three)
    return _class_apart(tensors) if "reg_token" in tensors else tensors


def _replaced(key: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        key = key.replace(old, new)
    return key


def _class_apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the class token's position to the token itself: timm's networks with registers embed patches only."""
    positions = tensors["pos_embed"]
    return tensors | {"cls_token": tensors["cls_token"] + positions[:, :1], "pos_embed": positions[:, 1:]}


def with_positions_of(
    network: nn.Module, tensors: Mapping[str, Tensor], name: str, positions: str
) -> dict[str, Tensor]:
    """Return tensors with the position embeddings resized to the grid of the network, where theirs is another.

    Parameters
    ----------
    network
        Its tensor of that name has the right shape.
    tensors
        Under the network's names.
    name
        Of the position embeddings, (1, prefixes + patches, width) with as many prefixes on both sides.
    positions
        "bilinear" or "bicubic", with "-antialias" or without.
    """
    own, given = network.state_dict()[name], tensors.get(name)
    if given is None or given.shape == own.shape or given.ndim != 3:
        return dict(tensors)
    prefixes = own.shape[1] - int(own.shape[1] ** 0.5) ** 2
    mode, _, antialias = positions.partition("-")
    side = round((own.shape[1] - prefixes) ** 0.5)
    resized = resized_grid(given[:, prefixes:], (side, side), mode, bool(antialias))
    return dict(tensors) | {name: torch.cat([given[:, :prefixes], resized], dim=1)}


def resized_grid(
    grid: Float[Tensor, "1 patches width"], size: tuple[int, int], mode: str, antialias: bool
) -> Float[Tensor, "1 _ width"]:
    """Return embeddings of a square grid of patches for a grid of another size."""
    side = round(grid.shape[1] ** 0.5)
    planes = grid.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    planes = interpolate(planes, size, mode=mode, antialias=antialias, align_corners=False)
    return planes.flatten(2).transpose(1, 2).to(grid.dtype)

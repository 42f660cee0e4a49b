"""Encoders with random weights: the real ones cut down to one block, in files as their publishers name the tensors."""

import re
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._timm import VisionTransformer
from napari_pathlupi.patch_encoders.conch import QueriedTokens
from napari_pathlupi.patch_encoders.ctranspath import SwinBehindConvolutions
from napari_pathlupi.patch_encoders.keep import Projected

_LIBRARIES = []


def let_torchvision_load() -> None:
    """Declare two operators of torchvision where it was built for another torch, so that timm can import it."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _LIBRARIES.append(library)


def shallow(encoder: PretrainedEncoder) -> PretrainedEncoder:
    """Return the encoder with one block of its transformer, tensors under timm's names."""
    whole = encoder.architecture
    if isinstance(whole, QueriedTokens):
        return replace(encoder, architecture=replace(whole, trunk=_one_block(whole.trunk)))
    if isinstance(whole, Projected):
        return replace(encoder, architecture=replace(whole, visual=_one_block(whole.visual)))
    return replace(encoder, architecture=_one_block(whole)) if isinstance(whole, VisionTransformer) else encoder


def _one_block(transformer: VisionTransformer) -> VisionTransformer:
    return replace(transformer, arguments={**transformer.arguments, "depth": 1}, layout="timm")


def random_weights(encoder: PretrainedEncoder, path: Path) -> Path:
    """Write a file of random weights that the encoder accepts, as safetensors or by torch according to the suffix."""
    with torch.device("meta"):
        own = encoder.architecture.build().state_dict()
    tensors = {published_name(encoder, name): _random(name, value) for name, value in own.items()}
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)
    return path


def published_name(encoder: PretrainedEncoder, name: str) -> str:
    whole = encoder.architecture
    if isinstance(whole, QueriedTokens):
        return whole.prefix + name
    if isinstance(whole, SwinBehindConvolutions):
        return re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name)
    return name.removeprefix("trunk.") if isinstance(whole, VisionTransformer) else name


NOISE = torch.randn(99_991, generator=torch.Generator().manual_seed(0))
"""Repeated to any size, which is quick, and of a prime length, so that no two rows of a matrix are alike."""


def _random(name: str, value: torch.Tensor) -> torch.Tensor:
    if not value.is_floating_point():
        return torch.zeros(value.shape, dtype=value.dtype)
    drawn = NOISE.repeat(value.numel() // len(NOISE) + 1)[: value.numel()].reshape(value.shape)
    if name.endswith("running_var"):
        return drawn.abs() + 0.5
    return (drawn * 0.5 if value.ndim < 2 else drawn / value[0].numel() ** 0.5).half()

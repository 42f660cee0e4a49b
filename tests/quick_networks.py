"""Small networks as loaded encoders of tiles of 256 px."""

import torch
from torch import nn

from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.patch_encoders._loading import Prepared
from napari_pathlupi.patch_encoders._published import Preparation


def loaded(network: nn.Module) -> Loaded:
    """A network on tiles of 256 px, resized to 32."""
    torch.manual_seed(0)
    prepared = Prepared(network.eval(), Preparation(32, 32), 256).requires_grad_(False)
    return Loaded(prepared, EncoderIdentity("small", "1", 8, 256, 0.5), "float32", prepared)


def small_convolution() -> Loaded:
    layers = nn.Conv2d(3, 16, 5, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3), nn.AdaptiveAvgPool2d(1)
    return loaded(nn.Sequential(*layers, nn.Flatten(1)))


def mostly_linear() -> Loaded:
    return loaded(nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(1), nn.Linear(64, 64), nn.Linear(64, 8)))

"""Networks with weights, from uint8 tiles to vectors on one device."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate

from napari_pathlupi.errors import MissingExtraError, words_of
from napari_pathlupi.patch_encoders._checkpoint import digest_of, fill, read_tensors
from napari_pathlupi.patch_encoders._published import INSTALL, Architecture, Preparation

Tiles = UInt8[Tensor, "tiles side side 3"]
Planes = Float[Tensor, "tiles 3 input input"]
EncodeTiles = Callable[[Tensor], Tensor]

TENSOR_CORES = {torch.float16: 7, torch.bfloat16: 8}
"""CUDA compute capability from which a type is faster than float32: Volta for float16, Ampere for bfloat16."""

HALF_UP = 0.5 + 2**-10
"""Pillow rounds halves up; they are common where sides are 8 : 7, and float32 puts them a little to either side."""


def resized(planes: UInt8[Tensor, "tiles 3 _ _"], side: int, mode: str) -> Shaped[Tensor, "tiles 3 {side} {side}"]:
    """Return pictures of another side, with anti-aliasing, in whole grey levels as Pillow gives them.

    On a processor, where torch resizes bytes, at most two levels apart, in one value of a hundred; elsewhere at most
    two, in one of twenty.
    """
    if planes.device.type == "cpu":
        return interpolate(planes, (side, side), mode=mode, antialias=True)
    return resized_in_float32(planes, side, mode)


def resized_in_float32(
    planes: UInt8[Tensor, "tiles 3 _ _"], side: int, mode: str
) -> Float[Tensor, "tiles 3 {side} {side}"]:
    """Return the same for devices where torch does not resize bytes: across, to whole levels, then down, as Pillow."""
    shades = planes.float()
    for size in ((planes.shape[2], side), (side, side)):
        shades = interpolate(shades, size, mode=mode, antialias=True).add_(HALF_UP).floor_().clamp_(0, 255)
    return shades


class Prepared(nn.Module):
    """A network with what happens to a tile before it.

    Parameters
    ----------
    network
        (tiles, 3, input_px, input_px) normalised -> (tiles, dim).
    preparation
        See `Preparation`.
    tile_px
        Side of a tile.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, preparation: Preparation, tile_px: int) -> None:
        super().__init__()
        self.network, self.preparation, self.tile_px = network, preparation, tile_px
        mean, std = (torch.tensor(values)[:, None, None] for values in (preparation.mean, preparation.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def prepare(self, tiles: Tiles) -> Planes:
        """Return tiles as the network sees them."""
        how, side = self.preparation, tiles.shape[1]
        if side != self.tile_px:
            raise ValueError(f"tiles of {side} px: this encoder sees tiles of {self.tile_px} px")
        planes = tiles.permute(0, 3, 1, 2)
        if how.resize_px not in (0, side):
            side = how.resize_px
            planes = resized(planes, side, how.interpolation)
        start = round((side - how.input_px) / 2)
        planes = planes[..., start : start + how.input_px, start : start + how.input_px]
        return planes * self.scale + self.shift

    def forward(self, tiles: Tiles) -> Float[Tensor, "tiles dim"]:
        vectors: Tensor = self.network(self.prepare(tiles))
        return vectors


def precision_on(device: str, wish: str) -> torch.dtype:
    """Return the type to compute in: a half one only on a CUDA device that is fast at it, otherwise float32."""
    dtype: torch.dtype = getattr(torch, wish)
    if dtype not in TENSOR_CORES or torch.device(device).type != "cuda":
        return torch.float32
    return dtype if torch.cuda.get_device_capability(device)[0] >= TENSOR_CORES[dtype] else torch.float32


def built(architecture: Architecture) -> nn.Module:
    """Return a network without values, or with its first random ones where it computes some of its buffers.

    Raises
    ------
    MissingExtraError
        When a library is absent, broken or of a version that cannot build it.
    """
    try:
        with torch.device("meta"):
            network = architecture.build()
        kept = network.state_dict().keys()
        computed = [name for name, _ in network.named_buffers() if name not in kept]
        return architecture.build() if computed else network
    except (RuntimeError, TypeError, AttributeError) as error:
        raise MissingExtraError(
            f"the installed {' and '.join(architecture.requires)} cannot build this network ({words_of(error)}): "
            f"{INSTALL['']}"
        ) from error


def filled(architecture: Architecture, path: Path, name: str, address: str) -> tuple[nn.Module, str]:
    """Return a network with the weights in a file, and the digest of all tensors there.

    Parameters
    ----------
    architecture, path
        The network, and its file.
    name, address
        What it is called and where its file is given out, for who is told that it does not fit.

    Raises
    ------
    MissingExtraError, WeightsError
        When it cannot be built, or the file does not fit.
    """
    network, published = built(architecture), read_tensors(path)
    fill(network, architecture.tensors(published, network), path, name, address)
    return network, digest_of(published)


def on_device(prepared: Prepared, device: str, wish: str) -> tuple[EncodeTiles, str]:
    """Return what encodes on a device, and in which type: the wish of `precision_on`, if it can be had."""
    prepared.to(device, torch.float32).eval().requires_grad_(False)
    dtype = precision_on(device, wish)

    @torch.inference_mode()
    def encode(tiles: Tensor) -> Tensor:
        with torch.autocast(tiles.device.type, dtype, enabled=dtype != torch.float32):
            vectors: Tensor = prepared(tiles)
        return vectors.float()

    return encode, str(dtype).removeprefix("torch.")

"""Tiles reach the network as Pillow and torchvision would bring them there, within one grey level."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders import _loading
from napari_pathlupi.patch_encoders._loading import Prepared, precision_on, resized_in_float32
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._published import Preparation

DISTINCT = sorted(
    {(e.tile_px, e.preparation) for e in patch_encoders.values() if isinstance(e, PretrainedEncoder)}, key=repr
)
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def tissue_like(side: int) -> np.ndarray:
    """Noise of several sizes, so that interpolation has edges and smooth parts to work on."""
    random = np.random.default_rng(0)
    fine = random.normal(150, 40, (side, side, 3))
    coarse = random.normal(0, 60, (side // 8, side // 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return (fine + coarse).clip(0, 255).astype(np.uint8)


def as_published(tile: np.ndarray, how: Preparation) -> np.ndarray:
    """(3, input, input): Pillow's resize, torchvision's centre crop, to 0..1, mean and standard deviation."""
    picture = Image.fromarray(tile)
    if how.resize_px:
        picture = picture.resize((how.resize_px, how.resize_px), FILTERS[how.interpolation])
    start = round((picture.width - how.input_px) / 2.0)
    picture = picture.crop((start, start, start + how.input_px, start + how.input_px))
    scaled = (np.asarray(picture, np.float64) / 255 - how.mean) / how.std
    return scaled.transpose(2, 0, 1)


def levels_apart(given: np.ndarray, expected: np.ndarray, how: Preparation) -> np.ndarray:
    assert given.shape == expected.shape == (3, how.input_px, how.input_px)
    return np.abs(given - expected) * 255 * np.array(how.std)[:, None, None]


@pytest.mark.parametrize(("tile_px", "how"), DISTINCT)
def test_equals_pillow_within_two_grey_levels_and_nearly_everywhere(tile_px, how):
    tile = tissue_like(tile_px)
    given = Prepared(nn.Identity(), how, tile_px).prepare(torch.from_numpy(tile)[None])[0].numpy()
    expected = as_published(tile, how)
    assert given.shape == expected.shape == (3, how.input_px, how.input_px)
    levels = np.abs(given - expected) * 255 * np.array(how.std)[:, None, None]
    assert levels.max() < 2.01
    assert (levels > 0.5).mean() < 0.01


@pytest.mark.parametrize("sides", [(256, 224), (512, 448)])
@pytest.mark.parametrize("mode", FILTERS)
def test_so_does_the_way_of_other_devices(sides, mode):
    tile = tissue_like(sides[0])
    given = resized_in_float32(torch.from_numpy(tile)[None].permute(0, 3, 1, 2), sides[1], mode)[0].permute(1, 2, 0)
    expected = Image.fromarray(tile).resize((sides[1], sides[1]), FILTERS[mode])
    levels = np.abs(given.numpy() - np.asarray(expected, np.float32))
    assert levels.max() <= 2
    assert (levels > 0.5).mean() < 0.05


def test_a_tile_of_another_size_is_refused():
    with pytest.raises(ValueError, match="tiles of 224 px: this encoder sees tiles of 256 px"):
        Prepared(nn.Identity(), Preparation(resize_px=224), 256)(torch.zeros(1, 224, 224, 3, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("device", "capability", "wish", "got"),
    [
        ("cpu", (9, 0), "float16", "float32"),
        ("mps", (9, 0), "bfloat16", "float32"),
        ("cuda", (6, 1), "float16", "float32"),
        ("cuda", (7, 5), "float16", "float16"),
        ("cuda", (7, 5), "bfloat16", "float32"),
        ("cuda:1", (8, 0), "bfloat16", "bfloat16"),
        ("cuda", (9, 0), "float32", "float32"),
    ],
)
def test_half_precision_is_used_only_where_the_card_has_it(device, capability, wish, got, monkeypatch):
    cuda = SimpleNamespace(get_device_capability=lambda _: capability)
    monkeypatch.setattr(_loading.torch, "cuda", cuda)
    assert precision_on(device, wish) == getattr(torch, got)

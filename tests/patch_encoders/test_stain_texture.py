"""The weight-free encoder: what must not change its vectors, and what must."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._texture import EOSIN, HAEMATOXYLIN, describe, separate_stains

UNIT_STAINS = [np.array(v) / np.linalg.norm(v) for v in (HAEMATOXYLIN, EOSIN)]


def stained(haematoxylin: np.ndarray, eosin: np.ndarray) -> np.ndarray:
    """Return the picture of two amounts of stain on glass of 240."""
    density = haematoxylin[..., None] * UNIT_STAINS[0] + eosin[..., None] * UNIT_STAINS[1]
    return np.clip(240 * 10**-density, 0, 255).round().astype(np.uint8)


def tile(
    seed: int, nuclei: int = 120, radius_px: float = 7.0, fibres: float = 0.0, stain: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """Return a 256 px tile: round nuclei on eosin that may run in fibres."""
    random = np.random.default_rng(seed)
    seeds = np.ones((256, 256))
    seeds[random.integers(0, 256, nuclei), random.integers(0, 256, nuclei)] = 0
    distance = ndimage.distance_transform_edt(seeds)
    haematoxylin = 0.7 / (1 + np.exp(distance - radius_px))
    cloud = ndimage.gaussian_filter(random.normal(size=(256, 256)), (2.0, 2.0 + 20 * fibres))
    return stained(stain[0] * haematoxylin, stain[1] * (0.3 + 0.1 * cloud / cloud.std()).clip(0))


def vectors(*tiles: np.ndarray) -> np.ndarray:
    return describe(torch.from_numpy(np.stack(tiles))).numpy()


@pytest.fixture(scope="module")
def spread() -> np.ndarray:
    """How far each number moves between kinds of tissue: the yardstick for changes that should not matter."""
    kinds = [
        tile(i, nuclei, radius, fibres, stain=(1, (0.5, 1, 1.5)[i % 3]))
        for i, (nuclei, radius, fibres) in enumerate(
            (n, r, f) for n in (0, 30, 120, 400) for r in (4.0, 7.0, 11.0) for f in (0.0, 1.0)
        )
    ]
    return vectors(*kinds).std(axis=0) + 0.02


def shift(changed: np.ndarray, original: np.ndarray, spread: np.ndarray) -> float:
    """Return the root mean square change in units of the spread between kinds of tissue."""
    return float(np.sqrt(np.mean(((vectors(changed) - vectors(original)) / spread) ** 2)))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_quarter_turn_changes_nothing(turn):
    original = tile(0, fibres=1.0)
    np.testing.assert_allclose(vectors(np.rot90(original, turn).copy()), vectors(original), atol=2e-3)


def test_a_mirror_changes_nothing():
    original = tile(0, fibres=1.0)
    np.testing.assert_allclose(vectors(original[:, ::-1].copy()), vectors(original), atol=2e-3)


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_brighter_or_darker_lamp_changes_little(factor, spread):
    original = tile(0)
    assert shift((original * factor).clip(0, 255).astype(np.uint8), original, spread) < 0.5


@pytest.mark.parametrize("stain", [(0.75, 1.0), (1.0, 0.75), (1.3, 1.3), (0.8, 1.25)])
def test_longer_or_shorter_staining_changes_little(stain, spread):
    assert shift(tile(0, stain=stain), tile(0), spread) < 0.5


@pytest.mark.parametrize(
    "other", [{"nuclei": 30}, {"nuclei": 400}, {"radius_px": 11.0}, {"radius_px": 4.0}, {"fibres": 1.0}]
)
def test_another_tissue_changes_more_than_another_sample_of_the_same(other, spread):
    same = np.mean([shift(tile(seed), tile(0), spread) for seed in (1, 2, 3)])
    different = np.mean([shift(tile(seed, **other), tile(0), spread) for seed in (1, 2, 3)])
    assert different > 1.5 * same


def test_the_stains_are_separated_as_they_were_mixed():
    random = np.random.default_rng(0)
    haematoxylin, eosin = random.uniform(0, 0.6, (2, 32, 32)).repeat(2, axis=1).repeat(2, axis=2)
    stains, grain = separate_stains(torch.from_numpy(stained(haematoxylin, eosin))[None])
    glass = 0.03  # 240 of 255, as both stains see it
    np.testing.assert_allclose(stains[0, 0].numpy(), haematoxylin[::2, ::2] + glass, atol=0.03)
    np.testing.assert_allclose(stains[0, 1].numpy(), eosin[::2, ::2], atol=0.03)
    assert grain.abs().max() < 1e-4


@pytest.mark.parametrize("side", [16, 112, 224, 512])
def test_any_side_that_divides_by_16_will_do(side):
    numbers = vectors(np.tile(tile(0), (2, 2, 1))[:side, :side].copy())
    assert numbers.shape == (1, patch_encoders["stain-texture"].dim)
    assert np.isfinite(numbers).all()


def test_any_other_side_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="100 px: a side that divides by 16"):
        vectors(tile(0)[:100, :100].copy())


def test_half_of_a_tile_looks_like_the_whole(spread):
    original = tile(0, nuclei=400, radius_px=4.0)
    assert shift(original[:, :128].repeat(1, axis=0)[:128].copy(), original, spread) < 1.0

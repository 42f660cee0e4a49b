import numpy as np

from napari_pathlupi.simulation.fields import (
    BLOCK_PX,
    FAR_UM,
    STEP_PX,
    at_pixels,
    signed_distance_um,
    smooth_noise,
    textures,
    top_share,
    with_halo,
)


def test_a_raster_is_continuous_across_blocks() -> None:
    raster = with_halo(smooth_noise(np.random.default_rng(0), (64, 64), 6))
    left, right = at_pixels(raster, (0, 0)), at_pixels(raster, (0, 1))
    step = np.abs(np.diff(left, axis=1)).max()
    assert np.abs(right[:, 0] - left[:, -1]).max() <= 1.5 * step


def test_a_slope_is_read_exactly_at_every_pixel() -> None:
    rows = np.arange(-2, 34, dtype=np.float32)  # of one block with its halo, so that no edge is bent
    raster = np.repeat(rows[:, None], 36, axis=1)
    expected = (np.arange(BLOCK_PX) + 0.5) / STEP_PX - 0.5
    np.testing.assert_allclose(at_pixels(raster, (0, 0)), np.repeat(expected[:, None], BLOCK_PX, axis=1), atol=1e-4)


def test_smooth_noise_has_unit_variance_at_every_scale() -> None:
    for scale in (1.5, 4.0, 9.0):
        noise = smooth_noise(np.random.default_rng(1), (400, 400), scale)
        assert abs(noise.mean()) < 0.15
        assert 0.85 < noise.std() < 1.15


def test_the_top_share_is_exact() -> None:
    within = np.ones((100, 100), dtype=bool)
    within[:50] = False
    mask = top_share(np.random.default_rng(2).random((100, 100)), within, 0.2)
    assert mask[:50].sum() == 0
    assert abs(int(mask.sum()) - 1000) <= 1


def test_distances_are_positive_inside_and_known_when_there_is_no_border() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:30, 10:30] = True
    distance = signed_distance_um(mask, 8.0)
    assert abs(distance[20, 20] - 76) < 8 and distance[0, 0] < -70
    assert np.all((distance > 0) == mask)
    assert np.all(signed_distance_um(np.zeros((4, 4), dtype=bool), 8.0) == -FAR_UM)
    assert np.all(signed_distance_um(np.ones((4, 4), dtype=bool), 8.0) == FAR_UM)


def test_textures_repeat_without_a_seam() -> None:
    sheet = textures()
    first, far = sheet.window(3.0, (100, 900)), sheet.window(3.0, (100 + 1024, 900 + 2048))
    np.testing.assert_array_equal(first, far)
    assert np.abs(np.diff(first, axis=1)).max() < 1.5

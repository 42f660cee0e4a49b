"""Tissue that is out of focus."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from tifffile import imread

from addressed import write_pyramid
from napari_pathlupi.core.tissue import BLUR, FOLD, GLASS, TISSUE, TissueMask
from napari_pathlupi.slides import open_slide
from napari_pathlupi.tissue.focus import WINDOW_PX, is_blurred, mark_blur
from napari_pathlupi.tissue.otsu import TissueConfig
from napari_pathlupi.workflows.embedding.tile import find_tissue_on


def blurred(picture: np.ndarray, width_px: float) -> np.ndarray:
    planes = [ndimage.gaussian_filter(picture[..., i].astype(float), width_px) for i in range(3)]
    return np.stack(planes, axis=2).round().astype(np.uint8)


def real_tiles(folder: Path) -> list[np.ndarray]:
    """Sharp tissue of seven kinds at 1 µm/px."""
    files = [
        path for path in sorted(folder.glob("*.tif")) if path.name[:3] in ("ADI", "LYM", "MUS", "STR", "TUM", "NOR")
    ]
    return [
        imread(path)[:, :, :3].reshape(112, 2, 112, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8) for path in files
    ]


def test_real_tissue_is_sharp_and_blurred_from_2_um_on(shared_data):
    tiles = real_tiles(shared_data / "patches/nct-crc-9class")
    assert len(tiles) >= 5
    assert not any(is_blurred(tile) for tile in tiles)
    for width in (2.0, 3.0, 5.0):
        assert all(is_blurred(blurred(tile, width)) for tile in tiles)


def test_a_picture_of_nothing_is_not_blurred():
    assert not is_blurred(np.full((WINDOW_PX, WINDOW_PX, 3), 200, np.uint8))


def grain(sharp: bool) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (WINDOW_PX, WINDOW_PX))
    cells = ndimage.gaussian_filter(noise, 0.8 if sharp else 4.0)
    return (180 + 20 * cells / cells.std()).clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def mask_of(rows: int, columns: int) -> TissueMask:
    classes = np.full((rows, columns), TISSUE, np.uint8)
    classes[: rows // 4] = GLASS
    classes[rows // 2, :] = FOLD
    return TissueMask(classes, (32.0, 32.0))


def test_only_tissue_that_is_out_of_focus_becomes_blur():
    mask = mask_of(256, 256)
    found = mark_blur(mask, 8.0, lambda origin: grain(sharp=origin[1] < 128 * 32 - 100), 400)
    right = np.arange(256) >= 128
    np.testing.assert_array_equal(found.classes == BLUR, (mask.classes == TISSUE) & right)
    assert (found.classes[found.classes != BLUR] == mask.classes[found.classes != BLUR]).all()
    assert found.pieces().max() == 1


@pytest.mark.parametrize("most", [1, 20, 100])
def test_no_more_windows_are_read_than_asked_for(most):
    places = []
    mark_blur(mask_of(400, 300), 8.0, lambda origin: places.append(origin) or grain(sharp=True), most)
    assert 1 <= len(places) <= 1.5 * most + 3
    assert len(set(places)) == len(places)


def test_windows_that_cannot_be_decoded_are_not_blur():
    mask = mask_of(128, 128)
    np.testing.assert_array_equal(mark_blur(mask, 8.0, lambda origin: None, 50).classes, mask.classes)


def test_one_blurred_window_in_a_square_is_not_enough():
    asked = []

    def read(origin: tuple[float, float]) -> np.ndarray:
        asked.append(origin)
        return grain(sharp=len(asked) > 1)

    assert not (mark_blur(mask_of(64, 64), 8.0, read, 50).classes == BLUR).any()
    assert len(asked) == 5


def test_the_blurred_half_of_a_real_slide_is_found(shared_data, tmp_path):
    with open_slide(shared_data / "wsi/CMU-1-Small-Region.svs") as slide:
        picture, mpp = slide.read_scaled((0, 0), slide.frame.shape_px0, (1, 1)), slide.mpp.mean
    picture[1536:] = blurred(picture, 2.5 / mpp)[1536:]
    with open_slide(write_pyramid(tmp_path / "half.svs", [picture], tile=256), mpp) as slide:
        classes = find_tissue_on(slide).classes
        without = find_tissue_on(slide, TissueConfig(focus_windows=0)).classes
    border = round(1536 * mpp / 8)
    assert not (classes[:border] == BLUR).any()
    below = without[border:] == TISSUE
    assert (classes[border:][below] == BLUR).mean() > 0.6
    assert not (without == BLUR).any()

"""The tissue mask, on painted overviews at 8 µm/px and on real thumbnails."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import ndimage

from napari_pathlupi.core.tissue import (
    BLACK_PEN,
    BLUE_PEN,
    GLASS,
    GREEN_PEN,
    PENS,
    RED_PEN,
    TISSUE,
    TissueMask,
)
from napari_pathlupi.tissue.otsu import TissueConfig, find_tissue, is_dark

PINK, PURPLE, FAINT = (215, 150, 185), (130, 80, 150), (238, 220, 231)
INK_CLASS = {"red": RED_PEN, "green": GREEN_PEN, "blue": BLUE_PEN, "black": BLACK_PEN}
INKS = {"red": (205, 25, 40), "green": (60, 165, 135), "blue": (35, 60, 170), "black": (40, 36, 42)}


def overview(glass: float = 240.0, side: int = 200, noise: float = 2.0, seed: int = 0) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, noise, (side, side, 1))
    return np.clip(glass + grain + np.zeros(3), 0, 255).astype(np.uint8)


def disc(picture: np.ndarray, centre: tuple[int, int], radius: float, colour: tuple[int, int, int]) -> np.ndarray:
    """Paint a textured disc and return where it is."""
    rows, columns = np.indices(picture.shape[:2])
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    grain = np.random.default_rng(1).normal(0, 8, (int(inside.sum()), 1))
    picture[inside] = np.clip(np.array(colour) + grain, 0, 255)
    return inside


def found(picture: np.ndarray, **settings: float) -> TissueMask:
    return find_tissue(picture, (16.0, 16.0), 8.0, TissueConfig(**settings))


def pen_share(mask: TissueMask) -> float:
    return float(np.isin(mask.classes, PENS).mean())


def agreement(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("glass", [200.0, 225.0, 240.0, 250.0])
@pytest.mark.parametrize("colour", [PINK, PURPLE, FAINT])
def test_a_piece_of_tissue_is_found_on_any_glass(glass, colour):
    picture = overview(glass)
    shade = np.array(colour) * glass / 240  # the same stain under another lamp
    truth = disc(picture, (100, 90), 50, tuple(shade))
    assert agreement(found(picture).tissue, truth) > 0.9


@pytest.mark.parametrize("glass", [195.0, 240.0, 255.0])
def test_glass_alone_holds_no_tissue(glass):
    mask = found(overview(glass, noise=6.0))
    assert mask.shares()["glass"] == 1


def test_grey_shadow_and_a_dark_line_on_glass_are_no_tissue():
    picture = overview(240.0)
    picture[:, :80] = picture[:, :80] * 0.88
    picture[:, 78:81] = 60
    assert found(picture).shares()["tissue"] == 0


def test_a_slide_that_is_all_tissue_is_not_split():
    picture = overview(0.0)
    picture[:] = PINK
    disc(picture, (100, 100), 60, PURPLE)
    assert found(picture).shares()["tissue"] == 1


def test_white_padding_beside_greyish_glass_is_no_tissue():
    picture = overview(0.0)
    picture[:] = (238, 234, 226)
    picture[:70] = 255
    assert found(picture).shares()["glass"] == 1


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("ground", ["glass", "tissue"])
def test_a_stroke_of_the_pen_is_its_own_class(ink, ground):
    picture = overview()
    if ground == "tissue":
        disc(picture, (100, 100), 95, PINK)
    untouched = found(picture).tissue
    truth = np.zeros(picture.shape[:2], bool)
    truth[80:105, 40:160] = True
    share = ndimage.gaussian_filter(truth.astype(float), 2.0)[..., None]  # ink is out of focus and lets light through
    picture = (picture * (1 - share) + share * np.array(INKS[ink]) * picture / 240).astype(np.uint8)
    mask = found(picture)
    assert (mask.classes[truth] == INK_CLASS[ink]).mean() > 0.9
    assert agreement(mask.classes == INK_CLASS[ink], truth) > 0.6
    near = ndimage.binary_dilation(truth, iterations=12)
    np.testing.assert_array_equal(mask.tissue[~near], untouched[~near])
    assert (mask.tissue & ~untouched).sum() == 0


def test_haematoxylin_and_eosin_are_never_taken_for_ink():
    picture = overview()
    for i, colour in enumerate([(85, 45, 110), (190, 80, 140), (160, 60, 130), (215, 110, 160)]):
        disc(picture, (50 + 100 * (i // 2), 50 + 100 * (i % 2)), 40, colour)
    assert pen_share(found(picture)) == 0


def test_specks_are_dropped_and_holes_filled_below_their_area():
    picture = overview()
    disc(picture, (100, 100), 70, PINK)
    disc(picture, (100, 100), 15, (240, 240, 240))  # a hole of 45,000 µm²
    disc(picture, (10, 10), 8, PINK)  # a speck of 13,000 µm²
    coarse = found(picture, min_piece_um2=40_000, min_hole_um2=90_000).tissue
    fine = found(picture, min_piece_um2=5_000, min_hole_um2=5_000).tissue
    assert coarse[100, 100] and not coarse[10, 10]
    assert not fine[100, 100] and fine[10, 10]


def test_the_mask_does_not_depend_on_how_much_glass_surrounds_the_tissue():
    small, large = overview(noise=0.0), overview(side=600, noise=0.0)
    disc(small, (100, 100), 60, PINK)
    disc(large, (100, 100), 60, PINK)
    np.testing.assert_array_equal(found(small).classes, found(large).classes[:200, :200])


def test_the_same_overview_gives_the_same_mask():
    picture = overview()
    disc(picture, (100, 100), 60, PINK)
    np.testing.assert_array_equal(found(picture).classes, found(picture.copy()).classes)


def test_the_mask_keeps_the_step_of_its_overview():
    assert find_tissue(overview(side=20), (16.5, 31.0), 8.0).step_px0 == (16.5, 31.0)


@pytest.mark.parametrize(("background", "dark"), [(5, True), (30, True), (120, False), (240, False)])
def test_a_dark_background_is_told_from_a_bright_one(background, dark):
    picture = overview(background)
    disc(picture, (60, 60), 30, (90, 90, 250) if dark else PURPLE)
    picture[150:] = 255  # padding says nothing
    assert is_dark(picture) is dark


def test_nothing_but_padding_is_not_dark():
    assert not is_dark(np.full((10, 10, 3), 255, np.uint8))


def real(path: Path) -> np.ndarray:
    return (imread(path)[..., :3] * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", ["almost-white-1", "no-tissue", "no-tissue2", "no-tissue-line"])
def test_real_glass_is_glass(shared_data, name):
    picture = real(shared_data / f"patches/qc-tiles/{name}.png")[::4, ::4]
    assert find_tissue(picture, (16.0, 16.0), 8.0).shares()["glass"] == 1


@pytest.mark.parametrize("name", ["no-tissue-green-pen", "no-tissue-red-pen"])
def test_real_ink_on_glass_is_pen_and_no_tissue(shared_data, name):
    mask = find_tissue(real(shared_data / f"patches/qc-tiles/{name}.png")[::4, ::4], (16.0, 16.0), 8.0)
    assert pen_share(mask) > 0.6
    assert mask.shares()["tissue"] == 0


def test_a_real_slide_drawn_on_with_three_pens_keeps_its_tissue(shared_data):
    thumbnail = real(shared_data / "patches/thumbnails/diagnostic-slide-thumb-rgb.png")
    mask = find_tissue(thumbnail, (160.0, 160.0), 40.0)
    shares = mask.shares()
    assert 0.3 < shares["tissue"] < 0.4
    assert 0.3 < pen_share(mask) < 0.42
    assert all(shares[f"{colour} pen"] > 0.04 for colour in ("red", "green", "black")) and shares["blue pen"] < 0.02
    assert mask.classes[:20, :20].max() == GLASS
    assert (mask.classes[280:320, 200:260] == TISSUE).mean() > 0.4


def test_a_stroke_that_pales_in_its_middle_is_pen_all_along() -> None:
    picture = overview(side=320)
    picture[150:158, 20:300] = INKS["red"]
    picture[150:158, 130:200] = (228, 105, 115)  # where the pen was faster
    disc(picture, (60, 160), 35, PINK)
    mask = found(picture)
    assert (mask.classes[151:157, 25:295] == RED_PEN).all()
    assert agreement(mask.tissue, disc(overview(side=320), (60, 160), 35, PINK)) > 0.8

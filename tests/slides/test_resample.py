"""Averaging over areas."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addressed import write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.slides._halving import GOOD_DB, agreement_db, typical_tiles
from napari_pathlupi.slides._resample import resample_area

LENGTHS = st.integers(1, 60)
STEPS = st.floats(0.3, 9)


def exact(line: np.ndarray, low: float, high: float) -> float:
    """The mean of a line of even pixels between two places."""
    edges = np.arange(len(line) + 1)
    return float((np.clip(high, edges[:-1], edges[1:]) - np.clip(low, edges[:-1], edges[1:])) @ line / (high - low))


@given(height=LENGTHS, width=LENGTHS, step=st.floats(1, 9), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_pixel_is_the_mean_of_its_rectangle(height: int, width: int, step: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, columns = random.integers(0, 256, height), random.integers(0, 256, width)
    picture = np.stack(
        [np.repeat(rows[:, None], width, 1), np.repeat(columns[None], height, 0), np.zeros((height, width))]
    )
    picture = np.ascontiguousarray(picture.transpose(1, 2, 0).astype(np.uint8))
    shape = int(height / step), int(width / step)
    if min(shape) < 1:
        return
    start = (height / step - shape[0]) * step * 0.7, (width / step - shape[1]) * step * 0.3
    answer = resample_area(picture, start, (step, step), shape)
    for axis, line in enumerate((rows, columns)):
        means = [exact(line, start[axis] + step * i, start[axis] + step * (i + 1)) for i in range(shape[axis])]
        found = answer[:, 0, 0] if axis == 0 else answer[0, :, 1]
        assert np.abs(found - np.array(means)).max() <= 0.51


@given(
    height=LENGTHS, width=LENGTHS, start=st.floats(0, 3), step=STEPS, reduced=st.booleans(), grey=st.integers(0, 255)
)
@settings(max_examples=80, deadline=None)
def test_an_even_picture_stays_as_it_is(
    height: int, width: int, start: float, step: float, reduced: bool, grey: int
) -> None:
    picture = np.full((height, width, 3), grey, np.uint8)
    shape = max(1, math.floor((height - start) / step)), max(1, math.floor((width - start) / step))
    assert (resample_area(picture, (start, start), (step, step), shape, reduced) == grey).all()


def test_a_ramp_of_means_stays_a_ramp() -> None:
    ramp = np.repeat(np.repeat(np.arange(4, 204, dtype=np.uint8)[None, :, None], 20, 0), 3, 2)
    answer = resample_area(ramp, (2.0, 10.3), (1.27, 1.27), (8, 120), reduced=True)
    assert np.abs(answer[0, :, 0] - (4 + 10.3 + 1.27 * (np.arange(120) + 0.5) - 0.5)).max() <= 0.51


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    return 10 * math.log10(255**2 / max(1e-9, float(((one.astype(float) - other) ** 2).mean())))


@pytest.mark.parametrize("blur", [0, 2])
@pytest.mark.parametrize("mpp", [0.2525, 0.2465, 0.228, 0.13, 0.07])
def test_any_ratio_is_within_45_db_of_averaging_areas_and_halving_is_kept_to_smooth_slides(
    blur: int, mpp: float, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(0, 1, (1536, 1536, 3))
    for axis in (0, 1):
        for _ in range(blur):
            noise = (noise + np.roll(noise, 1, axis) * 2 + np.roll(noise, 2, axis)) / 4
    picture = np.clip(160 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    coding = {"compression": "jpeg", "compressionargs": {"level": 90}}
    slide = open_slide(write_pyramid(tmp_path / "one.svs", [picture], tile=256, **coding), mpp=mpp)
    ratio = 0.5 / mpp
    side = int(1200 / ratio)
    exact_areas = resample_area(slide.read_level(0, (0, 0), (1536, 1536)), (101.3, 57.8), (ratio, ratio), (side, side))
    assert decibels(slide.read((101.3, 57.8), (side, side), 0.5), exact_areas) >= GOOD_DB - 0.5


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_whole_powers_of_two_are_within_47_db_of_a_real_slide(factor: int, shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    side = 1920 // factor
    whole = slide.read_level(0, (240, 240), (1920, 1920)).reshape(side, factor, side, factor, 3).mean((1, 3))
    assert decibels(slide.read_scaled((240, 240), (side, side), (factor, factor)), whole) >= 47


@pytest.mark.parametrize("ratio", [1.98, 2.03, 2.5, 3.3, 4.4, 5.7, 6.6, 11.0, 13.3])
def test_a_real_slide_as_sharp_as_pixels_get_is_within_45_db_at_any_ratio(ratio: float, shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    side = int(1900 / ratio)
    whole = slide.read_level(0, (240, 240), (1920, 1920))
    exact_areas = resample_area(whole, (3.3, 7.9), (ratio, ratio), (side, side))
    assert decibels(slide.read_scaled((243.3, 247.9), (side, side), (ratio, ratio)), exact_areas) >= 45


def test_reading_in_bands_changes_nothing(monkeypatch: pytest.MonkeyPatch, addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide)
    whole = slide.read_scaled((3.3, 5.1), (300, 200), (1.37, 1.61))
    monkeypatch.setattr("napari_pathlupi.slides._sampling.RESAMPLED_PIXELS", 5000)
    banded = slide.read_scaled((3.3, 5.1), (300, 200), (1.37, 1.61))
    assert np.abs(whole.astype(int) - banded).max() <= 1


def test_typical_tiles_are_not_glass() -> None:
    counts = np.full((40, 50), 2000)
    counts[10:20, 5:25] = np.random.default_rng(0).integers(10_000, 20_000, (10, 20))
    cells = typical_tiles(counts)
    assert len(cells) >= 5
    assert sum(counts[cell] > 2000 for cell in cells) >= len(cells) - 3
    assert typical_tiles(np.zeros((3, 4), np.int64)) == []


def test_tiles_too_small_to_compare_agree_in_nothing() -> None:
    small = np.zeros((16, 16, 3), np.uint8)
    assert agreement_db([(small, small[::2, ::2])], 1, 2.03) == 0.0
    assert agreement_db([], 1, 2.03) == 0.0

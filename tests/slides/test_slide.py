"""Any slide: places, scales and what lies outside."""

import math
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addressed import address_of, addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.core.geometry import downsample_of
from napari_pathlupi.errors import MppUnknownError, SettingsError, SlideError


@settings(max_examples=60, deadline=None)
@given(level=st.integers(0, 2), y=st.integers(-40, 240), x=st.integers(-40, 380), side=st.integers(1, 90))
def test_a_pixel_knows_its_place_at_every_level(addressed_slide: Path, level: int, y: int, x: int, side: int) -> None:
    slide = open_slide(addressed_slide)
    factor = int(slide.levels[level].downsample)
    height, width = slide.levels[level].shape_px
    pixels = slide.read_level(level, (y, x), (side, side))
    rows, columns = np.mgrid[y : y + side, x : x + side]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    assert (pixels[~inside] == 255).all()
    assert (address_of(pixels)[inside] == np.stack([rows, columns], -1)[inside] * factor).all()


def test_reading_at_four_times_the_mpp_is_the_mean_of_sixteen(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (512, 768, 3)).astype(np.uint8)
    slide = open_slide(write_pyramid(tmp_path / "one-level.svs", [picture]))
    coarse = slide.read((64, 32), (40, 60), mpp=1.0)
    means = picture[64 : 64 + 160, 32 : 32 + 240].reshape(40, 4, 60, 4, 3).mean((1, 3))
    assert np.abs(coarse - means).max() <= 1.01  # two roundings to a grey level


@given(y=st.floats(-20, 900), x=st.floats(-20, 1400), mpp=st.floats(0.25, 5))
@settings(max_examples=40, deadline=None)
def test_a_region_lies_where_it_was_asked_for_at_any_scale(ramp_slide: Path, y: float, x: float, mpp: float) -> None:
    pixels = open_slide(ramp_slide).read((y, x), (12, 16), mpp).astype(float)
    scale = mpp / 0.25
    centre_y = np.clip(y + (np.arange(12) + 0.5) * scale, 0, 1000)
    centre_x = np.clip(x + (np.arange(16) + 0.5) * scale, 0, 1500)
    inside = np.ix_(_well_inside(centre_y, scale, 1000), _well_inside(centre_x, scale, 1500))
    expected_y = np.broadcast_to(centre_y[:, None] / 4, (12, 16))
    expected_x = np.broadcast_to(centre_x[None] / 6, (12, 16))
    assert (
        np.abs(pixels[..., 0][inside] - expected_y[inside]).max(initial=0) <= 2.0
    )  # three roundings and a box over steps
    assert (
        np.abs(pixels[..., 1][inside] - expected_x[inside]).max(initial=0) <= 2.0
    )  # three roundings and a box over steps


def _well_inside(centre: np.ndarray, scale: float, end: int) -> np.ndarray:
    return np.flatnonzero((centre > scale + 16) & (centre < end - scale - 16))


@pytest.fixture(scope="session")
def ramp_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Brightness grows with y in red, with x in green: a position can be read off to a grey level."""
    y, x = np.mgrid[:1000, :1500] + 0.5
    ramp = np.stack([y / 4, x / 6, np.zeros_like(x)], -1)

    def mean(n: int) -> np.ndarray:
        return (
            ramp[: 1000 // n * n, : 1500 // n * n].reshape(1000 // n, n, 1500 // n, n, 3).mean((1, 3)) + 0.5
        ).astype(np.uint8)

    return write_pyramid(tmp_path_factory.mktemp("ramp") / "ramp.svs", [mean(1), mean(4), mean(16)])


def test_what_lies_outside_is_white(addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide)
    assert (slide.read_level(0, (-50, -50), (50, 50)) == 255).all()
    assert (slide.read((2000.0, 3000.0), (8, 8), mpp=1.0) == 255).all()


def test_the_pyramid_is_lazy_halves_each_step_and_ends_small(addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide)
    pyramid = slide.pyramid()
    assert [array.shape[:2] for array in pyramid] == [(1000, 1500), (500, 750), (250, 375), (125, 187), (62, 93)]
    assert all(array.dtype == np.uint8 for array in pyramid)
    assert max(pyramid[-1].shape) <= 1024
    assert (pyramid[2].compute(scheduler="sync") == addresses((1000, 1500))[::4, ::4]).all()


def test_levels_that_do_not_divide_evenly_keep_their_whole_factor() -> None:
    assert downsample_of((2967, 2220), (741, 555)) == 4.0
    assert downsample_of((2967, 2220), (742, 555)) == 4.0
    assert downsample_of((1000, 1000), (240, 240)) == pytest.approx(1000 / 240)


def test_threads_read_the_same_pixels(addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide)
    with ThreadPoolExecutor(4) as pool:
        regions = list(pool.map(lambda y: slide.read_level(0, (y, 17), (64, 64)), range(0, 900, 30)))
    for y, region in zip(range(0, 900, 30), regions, strict=True):
        assert (address_of(region)[0, 0] == (y, 17)).all()


def test_a_slide_is_pickled_by_its_path_and_keeps_a_stated_mpp(addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide, mpp=0.31)
    assert len(pickle.dumps(slide)) < 1000
    again = pickle.loads(pickle.dumps(slide))
    assert (again.mpp.mean, again.mpp.source) == (0.31, "stated by the user")
    assert (again.read_level(0, (3, 4), (5, 6)) == slide.read_level(0, (3, 4), (5, 6))).all()


def test_a_closed_slide_opens_again_when_read(addressed_slide: Path) -> None:
    slide = open_slide(addressed_slide)
    before = slide.read_level(0, (900, 900), (9, 9))
    slide.close()
    slide.close()
    assert (slide.read_level(0, (900, 900), (9, 9)) == before).all()


def test_a_copy_under_another_name_has_the_same_fingerprint(addressed_slide: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed (2).svs"
    copy.write_bytes(addressed_slide.read_bytes())
    assert open_slide(copy).fingerprint == open_slide(addressed_slide).fingerprint


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f: f / "absent.svs", "there is no file"),
        (lambda f: f / ("x" * 300 + ".svs"), "cannot be opened"),
        (lambda f: f, "is a folder"),
        (lambda f: _written(f / "empty.svs", b""), "is empty"),
        (lambda f: _written(f / "noise.svs", b"\x01\x02" * 500), "no TIFF file"),
        (lambda f: _written(f / "notes.docx", b"words"), "no slide format that is known"),
        (lambda f: _written(f / "cut.png", b"\x89PNG\r\n\x1a\n123"), "cannot be decoded"),
    ],
)
def test_what_is_no_slide_is_told_in_one_sentence(make, words: str, tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=words) as caught:
        open_slide(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_says_so(addressed_slide: Path, tmp_path: Path) -> None:
    whole = addressed_slide.read_bytes()
    jpeg = write_pyramid(tmp_path / "whole.svs", [addresses((1000, 1500))], compression="jpeg").read_bytes()
    for name, data in (("cut.svs", whole[: len(whole) // 3]), ("cut-jpeg.svs", jpeg[: int(len(jpeg) * 0.4)])):
        with pytest.raises(SlideError, match=r"ends in the middle|no TIFF file") as caught:
            open_slide(_written(tmp_path / name, data))
        assert "\n" not in str(caught.value)


def test_an_unknown_mpp_is_asked_for_never_guessed(tmp_path: Path) -> None:
    path = tmp_path / "bare.tif"
    with_tags = np.zeros((300, 300, 3), np.uint8)
    import tifffile

    tifffile.imwrite(path, with_tags, photometric="rgb", tile=(64, 64), resolution=(72, 72), resolutionunit="INCH")
    slide = open_slide(path)
    with pytest.raises(MppUnknownError, match=r"bare.tif .* --mpp"):
        _ = slide.mpp
    assert open_slide(path, mpp=0.5).mpp.source == "stated by the user"
    with pytest.raises(SlideError, match="is not the scale of a slide"):
        open_slide(path, mpp=-1)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("mpp", [1e6, math.inf, 0, -1, math.nan])
def test_a_pixel_larger_than_the_slide_or_no_size_is_refused(mpp: float, addressed_slide: Path) -> None:
    with pytest.raises(SettingsError, match="give µm per pixel above 0 and at most 3000 times its own"):
        open_slide(addressed_slide).read((0, 0), (4, 4), mpp)


@pytest.mark.parametrize("origin", [(math.nan, 0), (0, math.inf)])
def test_a_place_that_is_none_is_refused(origin: tuple[float, float], addressed_slide: Path) -> None:
    with pytest.raises(SettingsError, match="give two finite numbers"):
        open_slide(addressed_slide).read(origin, (4, 4), 1.0)


@pytest.mark.parametrize("shape", [(-1, 4), (4, 2.5), (4, 4, 3), (10**6, 10**6)])
def test_a_shape_that_is_none_or_too_large_is_refused(shape: tuple[int, ...], addressed_slide: Path) -> None:
    with pytest.raises(SettingsError, match="whole numbers from 0 on"):
        open_slide(addressed_slide).read((0, 0), shape, 1.0)


def test_the_coarsest_region_is_a_mean_in_bounded_memory_and_time(tmp_path: Path) -> None:
    picture = np.zeros((4000, 4000, 3), np.uint8)
    picture[:, 2000:] = 200
    slide = open_slide(write_pyramid(tmp_path / "one-level.svs", [picture], tile=512))
    tracemalloc.start()
    whole = slide.read_scaled((0, 0), (4, 4), (4000.0, 4001.0))
    many = slide.read_scaled((-1e9, -1e9), (3000, 3000), (7000.0, 7000.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.abs(whole[0, 0].astype(int) - 100).max() <= 1
    assert (whole[1:] == 255).all() and (whole[0, 1:] == 255).all()
    assert (many == 255).all()
    assert peak < 150e6


@given(y=st.floats(-3000, 3000), x=st.floats(-3000, 3000), mpp=st.floats(0.1, 60), side=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_what_is_left_out_as_white_would_have_been_white(
    ramp_slide: Path, y: float, x: float, mpp: float, side: int
) -> None:
    slide, scale = open_slide(ramp_slide), mpp / 0.25
    seen = slide.read((y, x), (side, side), mpp)
    for row, column in ((0, 0), (side - 1, side - 1), (side // 2, side // 3)) if side else ():
        alone = slide.read((y + row * scale, x + column * scale), (1, 1), mpp)[0, 0].astype(int)
        assert np.abs(seen[row, column] - alone).max() <= 1

"""Colours through an ICC profile: exact, per tile, and named."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from addressed import Picture, addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._choice import Choice
from stacks import a_profile

PICTURE = addresses((200, 300))


def _slide(
    folder: Path, picture: Picture = PICTURE, profile: bytes | None = None, suffix: str = ".svs", **options
) -> Path:
    profile = a_profile() if profile is None else profile
    return write_pyramid(folder / f"colours{suffix}", [picture, picture[::4, ::4]], iccprofile=profile, **options)


def _by_imagecms(picture: Picture, profile: bytes) -> Picture:
    from PIL import Image, ImageCms

    stored = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent(ImageCms.getDefaultIntent(stored))
    image = Image.fromarray(picture)
    turned = ImageCms.profileToProfile(image, stored, ImageCms.createProfile("sRGB"), intent, "RGB")
    return np.asarray(turned)


def test_every_level_has_the_colours_that_imagecms_gives(tmp_path: Path) -> None:
    path = _slide(tmp_path)
    slide, stored = open_slide(path, colour="srgb"), open_slide(path)
    assert (stored.read_level(0, (0, 0), (200, 300)) == PICTURE).all()
    for number, level in enumerate(slide.levels):
        as_stored = stored.read_level(number, (0, 0), level.shape_px)
        expected = _by_imagecms(as_stored, a_profile()).astype(int)
        assert np.abs(slide.read_level(number, (0, 0), level.shape_px) - expected).max() <= 1
        assert np.abs(expected - as_stored).max() > 20


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
def test_the_other_libraries_hand_the_same_profile_on(reader: str, tmp_path: Path) -> None:
    pytest.importorskip(reader, exc_type=ImportError)
    path = _slide(tmp_path)
    with formats[reader].open(path, Choice(colour="srgb")) as slide:
        expected = _by_imagecms(PICTURE, a_profile()).astype(int)
        assert np.abs(slide.read_level(0, (0, 0), (200, 300)) - expected).max() <= 1


def test_corrected_features_are_other_features_and_the_profile_is_offered_either_way(tmp_path: Path) -> None:
    path = _slide(tmp_path)
    slide, stored = open_slide(path, colour="srgb"), open_slide(path)
    assert slide.fingerprint != stored.fingerprint
    assert slide.offer == stored.offer
    assert stored.offer.icc_profile == a_profile()


def test_a_region_at_any_scale_is_near_what_it_would_be_if_all_were_turned_last(tmp_path: Path) -> None:
    y, x = np.mgrid[:512, :512] / 512
    smooth = np.stack([255 * y, 255 * x, 255 * (1 - x)], -1).astype(np.uint8)
    path = _slide(tmp_path, smooth, compression="jpeg", compressionargs={"level": 95}, tile=128)
    for mpp in (0.25, 0.5, 0.63, 1.7):
        last = _by_imagecms(open_slide(path).read((10, 20), (64, 64), mpp), a_profile())
        region = open_slide(path, colour="srgb").read((10, 20), (64, 64), mpp)
        assert np.abs(region.astype(int) - last).mean() < 1.0


def test_outside_stays_white(tmp_path: Path) -> None:
    assert (open_slide(_slide(tmp_path), colour="srgb").read_level(0, (-30, -30), (30, 400)) == 255).all()


def test_threads_turn_what_one_thread_turns(tmp_path: Path) -> None:
    slide = open_slide(_slide(tmp_path), colour="srgb")
    whole = _by_imagecms(PICTURE, a_profile()).astype(int)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda y: slide.read_level(0, (y, 0), (10, 300)), range(0, 200, 10)))
    assert np.abs(np.concatenate(rows) - whole).max() <= 1


@pytest.mark.parametrize("profile", [b"\0" * 200, a_profile()[:300]])
def test_a_damaged_profile_is_told_and_the_stored_colours_stay_readable(profile: bytes, tmp_path: Path) -> None:
    path = _slide(tmp_path, profile=profile)
    with pytest.raises(SlideError, match=r"colour profile in colours\.svs cannot be used .*as stored") as caught:
        open_slide(path, colour="srgb")
    assert "\n" not in str(caught.value)
    assert (open_slide(path).read_level(0, (0, 0), (200, 300)) == PICTURE).all()


def test_a_real_dicom_slide_has_a_profile_that_both_libraries_read_alike(shared_data: Path) -> None:
    pytest.importorskip("wsidicom", exc_type=ImportError)
    pytest.importorskip("openslide", exc_type=ImportError)
    from napari_pathlupi.slides import dicom

    folder = shared_data / "wsi/dicom-CMU-1-Small-Region"
    slide, stored = open_slide(folder, colour="srgb"), open_slide(folder)
    region = slide.read_level(0, (1000, 800), (300, 300))
    expected = _by_imagecms(stored.read_level(0, (1000, 800), (300, 300)), stored.offer.icc_profile)
    assert np.abs(region.astype(int) - expected).max() <= 1
    other = dicom._through_openslide(folder, sorted(folder.glob("*.dcm")), slide.choice)
    assert np.abs(region.astype(int) - other.read_level(0, (1000, 800), (300, 300))).max() <= 1

"""What people hand to `open_slide` and `read` without meaning to is read right, or refused in one clear sentence."""

import math
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from napari_pathlupi import open_slide
from napari_pathlupi.errors import SettingsError, SlideError
from napari_pathlupi.slides._choice import Choice
from napari_pathlupi.slides.flat import MOST_BYTES


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "Bild von Süd (1) 100 %.png"
    path.write_bytes(imagecodecs.png_encode(np.full((40, 60, 3), 7, np.uint8)))
    return path


@pytest.mark.parametrize("text", ["", "."])
def test_the_working_folder_is_named_in_full(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SlideError, match=f"{tmp_path.name} is a folder, but no slide .{tmp_path.name} holds no"):
        open_slide(text)


def test_what_a_file_manager_copies_opens(picture: Path) -> None:
    assert picture.as_uri().startswith("file:///")
    with open_slide(picture.as_uri()) as slide:
        assert slide.path == picture


def test_a_picture_of_another_kind_is_not_said_to_be_huge(shared_data: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "wsi/CMU-1-Small-Region.svs", tmp_path / "wrong.png")
    with pytest.raises(SlideError, match="no PNG picture"):
        open_slide(tmp_path / "wrong.png")


def test_a_picture_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(SlideError, match="save it as a tiled TIFF"):
        open_slide(path)


def test_transparent_pixels_of_a_picture_are_glass(tmp_path: Path) -> None:
    stored = np.zeros((40, 60, 4), np.uint8)
    stored[:20] = 200, 100, 50, 255
    path = tmp_path / "cut out.png"
    path.write_bytes(imagecodecs.png_encode(stored))
    with open_slide(path) as slide:
        seen = slide.read_level(0, (0, 0), (40, 60))
    assert (seen[:20] == (200, 100, 50)).all()
    assert (seen[20:] == 255).all()


def test_a_slide_that_nobody_can_open_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "scan.svs"
    path.write_bytes(b"no slide at all")
    with pytest.raises(SlideError, match=r"cannot open scan\.svs: .*\. Check that it is a slide, and copy it again\.$"):
        open_slide(path)


@pytest.mark.parametrize("number", ["0", 0.5, None])
@pytest.mark.parametrize("name", ["plane", "scene"])
def test_a_plane_or_scene_that_is_no_whole_number_is_refused(name: str, number: object) -> None:
    with pytest.raises(SettingsError, match=f"{name} {number!r} cannot be"):
        Choice(**{name: number})


def test_numbers_of_numpy_choose_as_those_of_python_do() -> None:
    chosen, same = Choice(plane=np.int64(2), scene=np.uint8(1)), Choice(2, 1)
    assert chosen == same
    assert chosen.fingerprint("content") == same.fingerprint("content")


@pytest.mark.parametrize("mpp", [0, -1, math.nan, math.inf])
def test_a_scale_that_cannot_be_is_refused(mpp: float, picture: Path) -> None:
    with open_slide(picture, mpp=0.5) as slide, pytest.raises(SettingsError, match="µm per pixel above 0"):
        slide.read((0, 0), (8, 8), mpp)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_is_turned_as_its_camera_says(orientation: int, ending: str, tmp_path: Path) -> None:
    ramp = np.add.outer(np.arange(40) * 4, np.arange(60) // 2)[..., None].repeat(3, 2).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"turned.{ending}"
    Image.fromarray(ramp).save(path, exif=exif, quality=95)
    with Image.open(path) as stored, open_slide(path) as slide:
        expected = np.asarray(ImageOps.exif_transpose(stored))
        assert slide.frame.shape_px0 == expected.shape[:2]
        seen = slide.read_level(0, (0, 0), slide.frame.shape_px0)
    assert np.abs(seen.astype(int) - expected).max() <= 2  # two decoders


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_the_colour_profile_of_a_picture_is_offered(ending: str, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / f"coloured.{ending}"
    Image.fromarray(np.full((40, 60, 3), 99, np.uint8)).save(path, icc_profile=profile)
    with open_slide(path, colour="srgb") as slide:
        assert slide.offer.icc_profile == profile
        assert np.abs(slide.read_level(0, (0, 0), (40, 60)).astype(int) - 99).max() <= 2


@pytest.mark.parametrize(("kind", "half"), [("unassalpha", (227, 178, 153)), ("assocalpha", (255, 228, 178))])
def test_transparent_pixels_of_a_tiff_lie_on_white(kind: str, half: tuple[int, ...], tmp_path: Path) -> None:
    stored = np.zeros((64, 64, 4), np.uint8)
    stored[:20], stored[20:40] = (200, 100, 50, 255), (200, 100, 50, 127)
    path = tmp_path / "cut out.tif"
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=[kind], tile=(64, 64), compression="deflate")
    with open_slide(path) as slide:
        pixels = slide.read_level(0, (0, 0), (64, 64)).astype(int)
    assert (pixels[:20] == (200, 100, 50)).all()
    assert np.abs(pixels[20:40] - half).max() <= 1
    assert (pixels[40:] == 255).all()

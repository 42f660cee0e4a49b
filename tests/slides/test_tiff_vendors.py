"""Files with the tags of Leica, Philips, Trestle, Ventana and Akoya, written for the tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
from scipy.ndimage import gaussian_filter

from addressed import write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import MissingExtraError, SlideError
from napari_pathlupi.slides import openslide as adapter
from vendor_slides import JPEG, write_bif, write_philips, write_qptiff, write_scn, write_trestle

SHAPE = (448, 512)
PICTURE = gaussian_filter(np.random.default_rng(0).uniform(0, 255, (*SHAPE, 3)), (2, 2, 0))
PICTURE = ((PICTURE - 128) * 6 + 128).clip(0, 255).astype(np.uint8)
OVERLAPPING: dict[str, Callable[[Path], Path]] = {
    "trestle": lambda folder: write_trestle(folder / "a.tif", PICTURE, 16),
    "trestle without overlap": lambda folder: write_trestle(folder / "a.tif", PICTURE, 0),
    "ventana": lambda folder: write_bif(folder / "a.bif", PICTURE, 16),
    "ventana without overlap": lambda folder: write_bif(folder / "a.bif", PICTURE, 0),
    "ventana under another name": lambda folder: write_bif(folder / "a.tif", PICTURE, 16),
}


def _of_openslide(path: Path, level: int, corner: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    with openslide.OpenSlide(path) as reference:
        return np.asarray(reference.read_region(corner[::-1], level, shape[::-1]).convert("RGB"))


def test_an_area_of_leica_has_the_pixels_scale_and_qupath_frame_of_openslide(tmp_path: Path) -> None:
    path = write_scn(tmp_path / "a.scn", [(PICTURE, (300, 200))], JPEG)
    ours, theirs = open_slide(path), formats["openslide"].open(path)
    assert ours.vendor == "Leica"
    assert (ours.mpp.y, ours.mpp.x) == (theirs.mpp.y, theirs.mpp.x) == (0.5, 0.5)
    assert theirs.frame.bounds_px0.origin_px0 == (300, 200)
    assert ours.frame.qupath_from_px0([7, 9]).tolist() == theirs.frame.qupath_from_px0([307, 209]).tolist()
    assert (ours.read_level(0, (0, 0), SHAPE) == theirs.read_level(0, (300, 200), SHAPE)).all()
    assert (ours.read_level(1, (0, 0), (224, 256)) == theirs.read_level(1, (150, 100), (224, 256))).all()


def test_both_areas_of_leica_lie_where_its_header_says_through_openslide(tmp_path: Path) -> None:
    other = 255 - PICTURE[:256, :320]
    path = write_scn(tmp_path / "a.scn", [(PICTURE, (300, 200)), (other, (1500, 600))])
    slide = formats["openslide"].open(path)
    assert (slide.read_level(0, (0, 0), (300, 200)) == 255).all()
    for picture, corner in ((PICTURE, (300, 200)), (other, (1500, 600))):
        assert (slide.read_level(0, corner, picture.shape[:2]) == picture).all()


def test_philips_has_the_pixels_and_the_scale_of_openslide(tmp_path: Path) -> None:
    path = write_philips(tmp_path / "a.tiff", PICTURE[:430, :500])
    slide = open_slide(path)
    assert (slide.vendor, slide.mpp.source) == ("Philips", "Philips header")
    assert (slide.mpp.y, slide.mpp.x) == pytest.approx((0.25, 0.26), rel=1e-12)
    with openslide.OpenSlide(path) as reference:
        assert reference.properties["openslide.vendor"] == "philips"
        assert [level.shape_px[::-1] for level in slide.levels] == list(reference.level_dimensions)
        stated = [float(reference.properties[f"openslide.mpp-{axis}"]) for axis in "yx"]
    assert stated == pytest.approx([slide.mpp.y, slide.mpp.x], rel=1e-12)
    for level, shape in enumerate(side.shape_px for side in slide.levels):
        assert (slide.read_level(level, (0, 0), shape) == _of_openslide(path, level, (0, 0), shape)).all()


@pytest.mark.parametrize("kind", list(OVERLAPPING))
def test_tiles_that_overlap_are_placed_by_openslide_and_shown_to_be(kind: str, tmp_path: Path) -> None:
    slide = open_slide(OVERLAPPING[kind](tmp_path))
    assert slide.vendor == f"{kind.split()[0]} (through OpenSlide)"
    assert (slide.mpp.y, slide.mpp.x) == (0.25, 0.25)
    height, width = slide.frame.shape_px0
    assert (height, width) == (SHAPE if "without" in kind else (448, 496))
    assert (slide.read_level(0, (0, 0), (height, width)) == PICTURE[:height, :width]).all()


@pytest.mark.parametrize("kind", list(OVERLAPPING))
def test_tiles_that_overlap_are_never_laid_edge_to_edge(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise MissingExtraError("OpenSlide is absent: pip install 'napari-pathlupi[openslide]'.")

    monkeypatch.setattr(adapter, "_library", absent)
    with pytest.raises(SlideError, match=r"the tiles of a\.(tif|bif) overlap, .* pip install") as caught:
        open_slide(OVERLAPPING[kind](tmp_path))
    assert "\n" not in str(caught.value)


def test_a_brightfield_qptiff_is_a_pyramid_with_the_scale_of_its_tags(tmp_path: Path) -> None:
    slide = open_slide(write_qptiff(tmp_path / "a.qptiff", PICTURE))
    assert (slide.vendor, slide.mpp.mean, slide.mpp.source) == ("Akoya", 0.5, "TIFF resolution tag")
    assert [level.downsample for level in slide.levels] == [1, 2]
    for level in range(2):
        picture = PICTURE[:: 2**level, :: 2**level]
        assert (slide.read_level(level, (0, 0), picture.shape[:2]) == picture).all()


def test_what_tiffslide_reads_is_said_to_be_read_by_it(tmp_path: Path) -> None:
    with formats["tiffslide"].open(write_philips(tmp_path / "a.tiff", PICTURE)) as slide:
        assert slide.vendor == "PHILIPS (through tiffslide)"
        assert (slide.mpp.y, slide.mpp.x) == pytest.approx((0.25, 0.26), rel=1e-12)
        ours = open_slide(tmp_path / "a.tiff").read_level(0, (0, 0), SHAPE)
        assert (slide.read_level(0, (0, 0), SHAPE) == ours).all()


def test_a_scale_that_cannot_be_is_left_open_by_tiffslide_too(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif", [PICTURE], resolution=(72, 72), resolutionunit="INCH")
    with formats["tiffslide"].open(path) as slide:
        assert slide.frame.mpp is None

"""TIFF files, real and made."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from addressed import address_of, addresses, write_pyramid
from napari_pathlupi import open_slide


@pytest.mark.parametrize("name", ["wsi/CMU-1-Small-Region.svs", "wsi/test3-DAPI-2-(387).ndpi"])
def test_real_pixels_equal_those_of_openslide(shared_data: Path, name: str) -> None:
    slide = open_slide(shared_data / name)
    with openslide.OpenSlide(shared_data / name) as reference:
        width, height = reference.dimensions
        assert slide.frame.shape_px0 == (height, width)
        assert slide.mpp.x == pytest.approx(float(reference.properties["openslide.mpp-x"]), rel=1e-4)
        theirs = np.asarray(reference.read_region((300, 400), 0, (700, 900)).convert("RGB"))
    assert (slide.read_level(0, (400, 300), (900, 700)) == theirs).all()


def test_ome_xml_gives_the_mpp(shared_data: Path) -> None:
    slide = open_slide(shared_data / "derived/CMU-1-Small-Region.ome.tif")
    assert (slide.mpp.x, slide.mpp.source) == (0.499, "OME-XML")
    assert [level.downsample for level in slide.levels] == [1, 2, 4, 8]


def test_rgb_jpeg_of_aperio_keeps_its_colours(shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    glass = slide.read_level(0, (0, 0), (100, 100)).reshape(-1, 3).mean(0)
    assert (glass > 225).all()
    assert np.ptp(glass) < 12


def test_a_flat_tiff_gets_virtual_levels(shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/kidney-48-5_flat.tif")
    assert slide.frame.mpp is None
    assert [array.shape[:2] for array in slide.pyramid()] == [(901, 1493), (450, 746)]


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "jpeg"},
        {"compression": "lzw"},
        {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
        {"compression": "none"},
    ],
)
def test_halving_while_decoding_is_close_to_averaging(tmp_path: Path, options: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.normal(0, 1, (320, 480, 3)), (9, 9, 0))
    smooth = (128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    slide = open_slide(write_pyramid(tmp_path / "codec.svs", [smooth], **options))
    for halvings in (1, 2, 3):
        n = 2**halvings
        means = slide.read_level(0, (0, 0), (320, 480)).reshape(320 // n, n, 480 // n, n, 3).mean((1, 3))
        mine = slide.read_level(0, (0, 0), (320 // n, 480 // n), halvings)
        error = np.square(mine - means).mean()
        assert 10 * np.log10(255**2 / max(error, 1e-9)) >= 47


def test_grey_and_rgba_pictures_become_rgb(tmp_path: Path) -> None:
    grey = np.arange(200 * 300, dtype=np.uint32).reshape(200, 300).astype(np.uint8)
    tifffile.imwrite(tmp_path / "grey.tif", grey, tile=(64, 64), compression="deflate")
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    tifffile.imwrite(tmp_path / "rgba.tif", rgba, tile=(64, 64), photometric="rgb", extrasamples=["unassalpha"])
    for name in ("grey.tif", "rgba.tif"):
        pixels = open_slide(tmp_path / name).read_level(0, (0, 0), (200, 300))
        assert (pixels == grey[..., None]).all()


def test_strips_are_read_like_tiles(tmp_path: Path) -> None:
    picture = np.random.default_rng(2).integers(0, 255, (333, 217, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "strips.tif", picture, photometric="rgb", rowsperstrip=20, compression="lzw")
    assert (open_slide(tmp_path / "strips.tif").read_level(0, (13, 7), (320, 210)) == picture[13:, 7:]).all()


def test_sixteen_bits_are_refused_in_one_sentence(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((64, 64, 3), np.uint16), photometric="rgb")
    with pytest.raises(Exception, match="8-bit RGB is what can be read"):
        open_slide(tmp_path / "deep.tif")


@pytest.mark.parametrize(("unit", "per_unit", "mpp"), [("CENTIMETER", 20000, 0.5), ("INCH", 101600, 0.25)])
def test_resolution_tags_give_the_exact_mpp(tmp_path: Path, unit: str, per_unit: int, mpp: float) -> None:
    path = tmp_path / "tags.tif"
    picture = np.zeros((64, 64, 3), np.uint8)
    tifffile.imwrite(path, picture, photometric="rgb", resolution=(per_unit, per_unit), resolutionunit=unit)
    slide = open_slide(path)
    assert (slide.mpp.y, slide.mpp.source) == (pytest.approx(mpp, rel=1e-9), "TIFF resolution tag")


def test_reduced_pages_of_a_generic_tiff_are_levels(tmp_path: Path) -> None:
    full = addresses((700, 900))
    slide = open_slide(write_pyramid(tmp_path / "generic.tif", [full, full[::2, ::2], full[::8, ::8]]))
    assert [level.downsample for level in slide.levels] == [1, 2, 8]
    assert (address_of(slide.read_level(2, (20, 30), (9, 9)))[0, 0] == (160, 240)).all()


def test_real_slides_halve_like_an_average(shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    means = slide.read_level(0, (0, 0), (2960, 2208)).reshape(1480, 2, 1104, 2, 3).mean((1, 3))
    error = np.square(slide.read_level(0, (0, 0), (1480, 1104), halvings=1) - means).mean()
    assert 10 * np.log10(255**2 / error) >= 47

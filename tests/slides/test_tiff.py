"""TIFF files, real and made."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from addressed import address_of, addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.errors import UnknownFormatError
from napari_pathlupi.slides.tiff import open_tiff


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


def test_slides_that_differ_only_in_their_middle_are_told_apart(tmp_path: Path) -> None:
    first, second = (np.full((1500, 1500, 3), 255, np.uint8) for _ in range(2))
    first[600:900, 600:900], second[600:900, 600:900] = 50, 150
    slides = []
    for name, picture in (("a.tif", first), ("b.tif", second)):
        tifffile.imwrite(tmp_path / name, picture, photometric="rgb", tile=(256, 256))
        slides.append(open_slide(tmp_path / name))
    assert slides[0].fingerprint != slides[1].fingerprint
    assert [slide.read_level(0, (700, 700), (1, 1)).max() for slide in slides] == [50, 150]


def test_a_file_that_changed_under_its_name_shows_what_it_holds_now(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for grey in (50, 150):
        tifffile.imwrite(path, np.full((300, 300, 3), grey, np.uint8), photometric="rgb", tile=(64, 64))
        assert (open_slide(path).pyramid()[0][:10, :10].compute(scheduler="sync") == grey).all()


@pytest.mark.parametrize("stated", ["0.0005", "0", "1.2.3", "9999999"])
def test_an_mpp_that_cannot_be_is_asked_for(tmp_path: Path, stated: str) -> None:
    path = write_pyramid(tmp_path / "odd.svs", [addresses((200, 300))])
    path.write_bytes(path.read_bytes().replace(b"MPP = 0.2500", f"MPP = {stated}".ljust(12).encode()[:12]))
    assert open_slide(path, mpp=0.5).mpp.mean == 0.5


def test_one_block_of_plain_rows_is_read_in_pieces(tmp_path: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 255, (701, 333, 3)).astype(np.uint8)
    for name, rows in (("block.tif", 701), ("rows.tif", 1)):
        tifffile.imwrite(tmp_path / name, picture, photometric="rgb", rowsperstrip=rows)
        slide = open_slide(tmp_path / name)
        assert (slide.read_level(0, (13, 7), (600, 300)) == picture[13:613, 7:307]).all()
        means = picture[:696, :328].reshape(87, 8, 41, 8, 3).mean((1, 3))
        assert np.abs(slide.read_level(0, (0, 0), (87, 41), halvings=3) - means).max() <= 2


def test_tiles_that_a_sparse_file_leaves_out_are_white(tmp_path: Path) -> None:
    picture = addresses((256, 256))
    cells = [(y, x) for y in range(0, 256, 64) for x in range(0, 256, 64)]
    tiles = [picture[y : y + 64, x : x + 64] if (y + x) % 128 == 0 else None for y, x in cells]
    tifffile.imwrite(
        tmp_path / "sparse.tif", iter(tiles), shape=(256, 256, 3), dtype=np.uint8, tile=(64, 64), photometric="rgb"
    )
    slide = open_slide(tmp_path / "sparse.tif")
    pixels = slide.read_level(0, (0, 0), (256, 256))
    assert (pixels[:64, 64:128] == 255).all()
    assert (pixels[:64, :64] == picture[:64, :64]).all()
    assert slide.missing_tiles == 0


def test_unequal_resolution_tags_are_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "unequal.tif"
    resolution = ((10_000 * 1000, 253), (10_000 * 1000, 247))  # x, y: pixels per centimetre
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb", resolution=resolution, resolutionunit=3)
    mpp = open_slide(path).mpp
    assert (mpp.y, mpp.x) == (pytest.approx(0.247, rel=1e-12), pytest.approx(0.253, rel=1e-12))


def test_of_several_focal_planes_the_first_is_read(tmp_path: Path) -> None:
    planes = np.stack([np.full((200, 300, 3), grey, np.uint8) for grey in (40, 90, 140)])
    tifffile.imwrite(
        tmp_path / "stack.ome.tif", planes, tile=(64, 64), photometric="rgb", metadata={"axes": "ZYXS"}, ome=True
    )
    slide = open_slide(tmp_path / "stack.ome.tif")
    assert (slide.read_level(0, (0, 0), (200, 300)) == 40).all()


def test_a_palette_or_cmyk_is_never_taken_for_grey_or_rgb(tmp_path: Path) -> None:
    palette = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "palette.tif", np.zeros((64, 64), np.uint8), photometric="palette", colormap=palette)
    tifffile.imwrite(tmp_path / "cmyk.tif", np.zeros((64, 64, 4), np.uint8), photometric="separated")
    for name in ("palette.tif", "cmyk.tif"):
        with pytest.raises(UnknownFormatError, match="colours of kind"):
            open_tiff(tmp_path / name)

import tracemalloc
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from addressed import addresses, overwrite_tile, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.core.progress import CancelFlag, run
from napari_pathlupi.errors import Cancelled, OutputError, SettingsError
from napari_pathlupi.workflows.convert import convert_steps

PICTURE = addresses((901, 1493))


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    path = tmp_path / "flat.tif"
    options = {"resolution": (1e4 / 0.2525, 1e4 / 0.24947123), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, PICTURE, photometric="rgb", metadata=None, **options)
    return path


def test_a_flat_picture_becomes_a_pyramid_with_the_same_pixels_and_the_same_unequal_scale(flat, tmp_path) -> None:
    with open_slide(flat) as slide:
        made = run(convert_steps(slide, tmp_path / "made.tif", lossless=True))
        mpp = slide.mpp
    with open_slide(made) as slide:
        assert (slide.read_level(0, (0, 0), PICTURE.shape[:2]) == PICTURE).all()
        assert [level.downsample for level in slide.levels] == pytest.approx([1, 2], rel=1e-3)
        assert (slide.mpp.y, slide.mpp.x) == (pytest.approx(mpp.y, rel=1e-9), pytest.approx(mpp.x, rel=1e-9))
        assert slide.mpp.y == pytest.approx(0.24947123, rel=1e-8)


def test_openslide_reads_what_was_converted(flat, tmp_path) -> None:
    with open_slide(flat) as slide:
        made = run(convert_steps(slide, tmp_path / "made.tif", lossless=True))
    with tifffile.TiffFile(made) as tiff:
        assert all(page.description == "" for page in tiff.pages)  # nothing but the default was chosen
    with openslide.OpenSlide(made) as reference:
        assert reference.properties["openslide.vendor"] == "generic-tiff"
        assert float(reference.properties["openslide.mpp-x"]) == pytest.approx(0.2525, rel=1e-6)
        assert reference.level_dimensions == ((1493, 901), (746, 450))
        theirs = np.asarray(reference.read_region((0, 0), 0, (1493, 901)).convert("RGB"))
    assert (theirs == PICTURE).all()


def test_a_jpeg_pyramid_is_close_and_smaller(shared_data: Path, tmp_path: Path) -> None:
    with open_slide(shared_data / "wsi/CMU-1-Small-Region.svs") as slide:
        made = run(convert_steps(slide, tmp_path / "made.tif"))
        whole = run(convert_steps(slide, tmp_path / "lossless.tif", lossless=True))
        before = slide.read_level(0, (0, 0), slide.frame.shape_px0).astype(int)
    assert made.stat().st_size < whole.stat().st_size / 4
    with open_slide(made) as slide:
        after = slide.read_level(0, (0, 0), slide.frame.shape_px0)
        assert slide.mpp.x == pytest.approx(0.499, rel=1e-9)
    assert 10 * np.log10(255**2 / np.square(after - before).mean()) > 32  # its colours were not subsampled before


def test_an_unknown_scale_stays_unknown(tmp_path: Path) -> None:
    (tmp_path / "bare.png").write_bytes(imagecodecs.png_encode(PICTURE))
    with open_slide(tmp_path / "bare.png") as slide:
        made = run(convert_steps(slide, tmp_path / "made.tif", lossless=True))
    assert open_slide(made).frame.mpp is None


def test_a_tile_that_cannot_be_read_becomes_white_and_is_counted(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "damaged.svs", [addresses((512, 512))], tile=256)
    overwrite_tile(path, 3, b"no")
    with open_slide(path) as slide:
        made = run(convert_steps(slide, tmp_path / "made.tif", lossless=True))
        assert slide.missing_tiles == 1
    with open_slide(made) as slide:
        assert (slide.read_level(0, (256, 256), (256, 256)) == 255).all()
        assert (slide.read_level(0, (0, 0), (256, 512)) == addresses((256, 512))).all()


def test_nothing_is_overwritten_and_nothing_half_written_stays(flat, tmp_path) -> None:
    with open_slide(flat) as slide:
        with pytest.raises(OutputError, match="is not overwritten"):
            run(convert_steps(slide, flat))
        with pytest.raises(SettingsError, match=r"must end in .tif"):
            run(convert_steps(slide, tmp_path / "made.svs"))
        cancel = CancelFlag()
        cancel.set()
        with pytest.raises(Cancelled):
            run(convert_steps(slide, tmp_path / "made.tif", cancel=cancel))
    assert [file.name for file in tmp_path.iterdir()] == ["flat.tif"]


def test_memory_is_bounded_by_rows_not_by_the_slide(tmp_path: Path) -> None:
    tall = write_pyramid(tmp_path / "tall.svs", [np.full((12_000, 600, 3), 200, np.uint8)], tile=256)
    with open_slide(tall) as slide:
        tracemalloc.start()
        run(convert_steps(slide, tmp_path / "made.tif"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12_000 * 600 * 3 * 2

"""What every slide format must do; a new file in the room is tested before its author writes a test."""

import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from addressed import addresses, write_pyramid
from foreign_slides import write_dicom, write_ome_zarr
from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import DamagedTileError, SlideError
from napari_pathlupi.slides._choice import Choice
from napari_pathlupi.slides._hatch import hatch
from napari_pathlupi.slides.flat import PictureSlide

SHAPE = (700, 900)
PICTURE = addresses(SHAPE)
LEVELS = [PICTURE, PICTURE[::4, ::4]]
MPP = (0.25, 0.26)


def _png(folder: Path) -> Path:
    path = folder / "addressed.png"
    path.write_bytes(imagecodecs.png_encode(PICTURE))
    return path


def _tiff(folder: Path, suffix: str = ".tif") -> Path:
    per_cm = tuple(10_000 / side for side in MPP[::-1])  # x, then y
    return write_pyramid(folder / f"addressed{suffix}", LEVELS, resolution=per_cm, resolutionunit="CENTIMETER")


def _svs(folder: Path) -> Path:
    return write_pyramid(folder / "addressed.svs", LEVELS)


def _zarr(folder: Path, version: str, axes: str) -> Path:
    return write_ome_zarr(folder / "addressed.ome.zarr", LEVELS, version=version, axes=axes)


def _dicom(folder: Path) -> Path:
    pytest.importorskip("wsidicom", exc_type=ImportError)
    return write_dicom(folder / "addressed", LEVELS, mpp=MPP)[0].parent


def _only_for_openslide(folder: Path) -> Path:
    pytest.importorskip("openslide", exc_type=ImportError)
    return _tiff(folder, ".zvi")  # a name that no other reader is asked for; OpenSlide goes by the content


WRITERS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "dicom": {"series": _dicom},
    "flat": {"png": _png},
    "ome-zarr": {
        f"{version} {axes}": partial(_zarr, version=version, axes=axes)
        for version, axes in (("0.4", "cyx"), ("0.4", "yxc"), ("0.4", "tczyx"), ("0.5", "cyx"), ("0.5", "tczyx"))
    },
    "openslide": {"generic": _only_for_openslide},
    "tiff": {"svs": _svs, "generic": _tiff},
    "tiffslide": {"svs": _svs},
}
CASES = [(name, kind) for name in formats for kind in WRITERS.get(name, {"unwritten": None})]


@pytest.fixture(params=CASES, ids=" ".join)
def slide(request: pytest.FixtureRequest, tmp_path: Path):
    name, kind = request.param
    assert name in WRITERS, f"add a writer of the addressed picture for the format {name!r} to this file"
    with formats[name].open(WRITERS[name][kind](tmp_path)) as slide:
        yield slide


def test_the_default_choice_changes_nothing(slide) -> None:
    with formats[_name_of(slide)].open(slide.path, Choice(0, 0, "as stored")) as same:
        assert (same.fingerprint, same.frame) == (slide.fingerprint, slide.frame)
        assert (same.read_level(0, (0, 0), SHAPE) == PICTURE).all()
    assert [scene.shape_px0 for scene in slide.offer.scenes] == [SHAPE]
    assert slide.offer.planes_um[0] in (None, 0.0)


@pytest.mark.parametrize("choice", [{"plane": 1}, {"scene": 1}, {"plane": -1}, {"colour": "srgb"}])
def test_what_is_not_there_to_choose_is_told_in_one_sentence(slide, choice: dict[str, Any]) -> None:
    with pytest.raises(SlideError, match=f"^{slide.path.name} has no (focal plane|scene|colour profile)") as caught:
        formats[_name_of(slide)].open(slide.path, Choice(**choice))
    assert str(caught.value).count(". ") == 0 and str(caught.value).endswith(".")


def _name_of(slide) -> str:
    return type(slide).__module__.rpartition(".")[2].replace("_", "-")


def test_level_zero_is_the_picture(slide) -> None:
    assert slide.frame.shape_px0 == SHAPE
    assert slide.levels[0].downsample == 1.0
    assert (slide.read_level(0, (0, 0), SHAPE) == PICTURE).all()


def test_levels_go_from_fine_to_coarse(slide) -> None:
    steps = [level.downsample for level in slide.levels]
    assert steps == sorted(steps)


def test_outside_is_white(slide) -> None:
    pixels = slide.read_level(0, (-10, 890), (20, 20))
    assert (pixels[:10] == 255).all()
    assert (pixels[:, 10:] == 255).all()
    assert (pixels[10:, :10] == PICTURE[:10, 890:]).all()


def test_halvings_average_squares(slide) -> None:
    means = PICTURE[:640, :896].reshape(160, 4, 224, 4, 3).mean((1, 3))
    assert np.abs(slide.read_level(0, (0, 0), (160, 224), halvings=2) - means).max() <= 1.01


def test_a_region_at_any_mpp_has_the_shape_asked_for(slide) -> None:
    slide.state_mpp(0.25)
    assert slide.read((10.3, -5.7), (33, 44), mpp=0.83).shape == (33, 44, 3)


def test_the_pyramid_is_lazy_rgb(slide) -> None:
    pyramid = slide.pyramid()
    assert pyramid[0].shape == (*SHAPE, 3)
    assert (pyramid[0][100:200, 100:200].compute(scheduler="sync") == PICTURE[100:200, 100:200]).all()


def test_the_scale_is_kept_exactly_and_says_where_it_is_from(slide) -> None:
    mpp = slide.frame.mpp
    if mpp is None:
        assert slide.path.suffix == ".png"
        return
    assert (mpp.y, mpp.x) == (MPP if slide.path.suffix != ".svs" else (0.25, 0.25))  # Aperio states one number
    assert mpp.source


def test_threads_read_what_one_thread_reads(slide) -> None:
    corners = [(y, (7 * y) % 800) for y in range(0, 640, 20)]
    with ThreadPoolExecutor(4) as pool:
        regions = list(pool.map(lambda corner: slide.read_level(0, corner, (60, 70)), corners))
    for (y, x), region in zip(corners, regions, strict=True):
        assert (region == PICTURE[y : y + 60, x : x + 70]).all()


def test_a_coarser_level_is_at_its_place(slide) -> None:
    for index, level in enumerate(slide.levels[1:], start=1):
        assert level.downsample == 4.0
        assert (slide.read_level(index, (30, 40), (90, 100)) == LEVELS[1][30:120, 40:140]).all()


def test_closing_while_others_read_breaks_nothing(slide) -> None:
    def read(y: int):
        if y % 100 == 0:
            slide.close()
        return slide.read_level(0, (y, 5), (30, 40))

    with ThreadPoolExecutor(4) as pool:
        regions = list(pool.map(read, range(0, 600, 10)))
    assert all(
        (region == PICTURE[y : y + 30, 5:45]).all() for y, region in zip(range(0, 600, 10), regions, strict=True)
    )


def test_a_closed_slide_can_be_read_again(slide) -> None:
    slide.close()
    assert (slide.read_level(0, (600, 800), (50, 60)) == PICTURE[600:650, 800:860]).all()


def test_closing_twice_and_pickling_by_path(slide) -> None:
    again = pickle.loads(pickle.dumps(slide))
    assert again.fingerprint == slide.fingerprint
    again.close()
    again.close()


def test_a_pickled_slide_shows_damage_as_the_slide_did(slide) -> None:
    lenient = slide.lenient(hatch)
    with pickle.loads(pickle.dumps(lenient)) as again:
        assert again._stand_in is lenient._stand_in


def test_a_slide_that_is_lost_is_told_at_once_and_never_as_damaged_tiles(slide) -> None:
    if isinstance(slide, PictureSlide):
        pytest.skip("it is held in memory")
    slide.close()
    (shutil.rmtree if slide.path.is_dir() else Path.unlink)(slide.path)
    with pytest.raises(SlideError, match="can no longer be read") as caught:
        slide.lenient().read_level(0, (0, 0), (600, 600))
    assert not isinstance(caught.value, DamagedTileError)
    assert slide.missing_tiles == 0

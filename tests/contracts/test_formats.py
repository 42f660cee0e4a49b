"""What every slide format must do; a new file in the room is tested before its author writes a test."""

import pickle
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from addressed import addresses, write_pyramid
from napari_pathlupi.catalogue import formats

SHAPE = (700, 900)
PICTURE = addresses(SHAPE)


def _png(folder: Path) -> Path:
    path = folder / "addressed.png"
    path.write_bytes(imagecodecs.png_encode(PICTURE))
    return path


def _tiff(folder: Path) -> Path:
    return write_pyramid(folder / "addressed.svs", [PICTURE, PICTURE[::4, ::4]])


WRITERS: dict[str, Callable[[Path], Path]] = {"flat": _png, "tiff": _tiff, "tiffslide": _tiff}


@pytest.fixture(params=list(formats))
def slide(request: pytest.FixtureRequest, tmp_path: Path):
    name = request.param
    assert name in WRITERS, f"add a writer of the addressed picture for the format {name!r} to this file"
    with formats[name].open(WRITERS[name](tmp_path)) as slide:
        yield slide


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


def test_closing_twice_and_pickling_by_path(slide) -> None:
    again = pickle.loads(pickle.dumps(slide))
    assert again.fingerprint == slide.fingerprint
    again.close()
    again.close()

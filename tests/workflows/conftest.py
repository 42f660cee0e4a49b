"""Slides with a planted square of "tumour", and a model that looks for it."""

from pathlib import Path

import numpy as np
import pytest

from addressed import write_pyramid
from napari_pathlupi.bundle import Bundle
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.workflows.demo import IDENTITY
from quick_model import save_quick_model

PX = IDENTITY.tile_px


def tissue_picture(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Pink noise tissue of whole tiles, in a margin of one tile of glass."""
    rng = np.random.default_rng(seed)
    glass = np.full(((rows + 2) * PX, (columns + 2) * PX, 3), 243, np.uint8)
    pink = rng.normal((205, 140, 180), 14, (rows * PX, columns * PX, 3)).clip(0, 255).astype(np.uint8)
    glass[PX : PX + rows * PX, PX : PX + columns * PX] = pink
    return glass


@pytest.fixture(scope="session")
def tissue_slide_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 x 4 tiles of tissue at the encoder's own scale."""
    picture = tissue_picture(3, 4)
    path = tmp_path_factory.mktemp("tissue") / "tissue.svs"
    return write_pyramid(path, [picture, picture[::4, ::4]], tile=256)


@pytest.fixture
def tissue_slide(tissue_slide_path: Path):
    with open_slide(tissue_slide_path, mpp=IDENTITY.mpp) as slide:
        yield slide


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A quickly trained model on random vectors of the right length."""
    return save_quick_model(tmp_path_factory.mktemp("models") / "quick")


@pytest.fixture
def slide_of(tmp_path: Path):
    def make(picture: np.ndarray, mpp: float | None = IDENTITY.mpp) -> Slide:
        path = tmp_path / f"slide-{len(list(tmp_path.iterdir()))}.tif"
        write_pyramid(path, [picture], tile=256)
        return open_slide(path, mpp)

    return make

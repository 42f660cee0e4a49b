"""An encoder of mean colours and slides of many small tiles, for tests of what becomes of long work."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from addressed import write_pyramid
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.patch_encoders._encoder import Loaded
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.workflows.embedding.embed_store import Errand
from napari_pathlupi.workflows.embedding.tile import tile

PX = 32
IDENTITY = EncoderIdentity("means", "1", 3, PX, 0.5)


def means(tiles: torch.Tensor) -> torch.Tensor:
    """(tiles, 3) mean colours."""
    return tiles.float().mean((1, 2))


LOADED = Loaded(means, IDENTITY)


def write_pink(path: Path, rows: int = 24, columns: int = 25, seed: int = 0) -> Path:
    """Tiles of tissue, each of a colour of its own, in a margin of glass."""
    rng = np.random.default_rng(seed)
    colours = np.full((rows + 6, columns + 6, 3), 243, np.uint8)
    colours[3:-3, 3:-3] = rng.normal((205, 140, 180), 14, (rows, columns, 3)).clip(0, 255)
    return write_pyramid(path, [colours.repeat(PX, axis=0).repeat(PX, axis=1)], tile=128)


def prepare(path: str | Path) -> tuple[Slide, TileGrid]:
    """Open a slide and return it with its tiles."""
    slide = open_slide(path, mpp=0.5)
    return slide, tile(slide, PX, 0.5)


def errand(path: str | Path) -> Errand:
    """One slide to embed."""
    return Errand(Path(path).name, partial(prepare, path))

"""A tile that cannot be decoded is hatched for the eye and white for the tissue finder."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from addressed import Picture, addresses, write_pyramid
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.slides._hatch import DARK, PALE, hatch
from napari_pathlupi.workflows.embedding.tile import find_tissue_on

SIDE, TILE = 2048, 64
CELL = np.s_[3 * TILE : 4 * TILE, 5 * TILE : 6 * TILE]


def damage(path: Path, row: int, column: int, *, beyond: bool = False) -> Path:
    """Make a tile of level 0 undecodable, or say that it lies beyond the end of the file."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages[0]
        index = row * -(-page.imagewidth // TILE) + column
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        if beyond:
            tags = page.tags["TileOffsets"]
            tags.overwrite([place + 10**8 * (place == offset) for place in tags.value])
    if not beyond:
        data = bytearray(path.read_bytes())
        data[offset : offset + count] = bytes(count)
        path.write_bytes(data)
    return path


def is_hatched(picture: Picture) -> bool:
    return bool((picture[..., 0] == picture[..., 1]).all() and picture.std() > 10 and picture.min() >= DARK - 1)


@pytest.fixture(params=["deflate", "jpeg"])
def pictures(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Slide, Slide]:
    """A good slide, and the same with one damaged tile."""
    full = addresses((SIDE, SIDE))
    good, bad = (write_pyramid(tmp_path / name, [full], compression=request.param) for name in ("good.svs", "bad.svs"))
    return open_slide(good), open_slide(damage(bad, 3, 5))


def test_a_damaged_tile_is_hatched_in_every_octave_and_its_neighbours_are_untouched(
    pictures: tuple[Slide, Slide],
) -> None:
    good, bad = ([np.asarray(octave) for octave in slide.pyramid()] for slide in pictures)
    for halvings, (was, seen) in enumerate(zip(good, bad, strict=True)):
        cell = tuple(slice(part.start >> halvings, part.stop >> halvings) for part in CELL)
        assert is_hatched(seen[cell])
        elsewhere = np.ones(seen.shape[:2], bool)
        elsewhere[cell] = False
        assert (seen[elsewhere] == was[elsewhere]).all()
    assert pictures[1].missing_tiles == 1


def test_a_tile_beyond_the_end_of_the_file_is_hatched_too(tmp_path: Path) -> None:
    path = damage(write_pyramid(tmp_path / "cut.tif", [addresses((512, 512))]), 3, 5, beyond=True)
    assert is_hatched(np.asarray(open_slide(path).pyramid()[0][CELL]))


def test_the_hatch_is_what_lies_there_however_the_view_is_cut(pictures: tuple[Slide, Slide]) -> None:
    octave = pictures[1].pyramid()[0]
    whole = np.asarray(octave[100:500, 200:600])
    assert (np.asarray(octave[205:300, 333:400]) == whole[105:200, 133:200]).all()


def test_lines_go_on_from_cell_to_cell_and_from_octave_to_octave() -> None:
    two_wide = hatch((64, 64), (64, 128), 0)
    assert (two_wide[:, :64] == hatch((64, 64), (64, 64), 0)).all()
    assert (two_wide[:, 64:] == hatch((64, 128), (64, 64), 0)).all()
    assert set(np.unique(two_wide)) == {DARK, PALE}
    halved = hatch((64, 64), (64, 128), 1)
    assert halved.shape == (32, 64, 3)
    assert abs(halved.mean() - two_wide.mean()) < 1


def test_tissue_is_found_as_if_the_damaged_tile_were_glass(tmp_path: Path) -> None:
    glass, pink = np.full((SIDE, SIDE, 3), 244, np.uint8), np.random.default_rng(1).integers(-20, 20, (1500, 1500, 1))
    glass[400:1900, 400:1900] = np.clip(np.array([200, 120, 170]) + pink, 0, 255)
    good, bad = (write_pyramid(tmp_path / name, [glass], compression="jpeg") for name in ("good.svs", "bad.svs"))
    found = [find_tissue_on(open_slide(path)).classes for path in (good, damage(bad, 3, 5))]
    assert found[0].any() and (found[0] == found[1]).all()

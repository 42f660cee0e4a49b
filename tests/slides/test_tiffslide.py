from pathlib import Path
from types import SimpleNamespace

import pytest

from addressed import addresses, overwrite_tile, write_pyramid
from napari_pathlupi.core.geometry import Region
from napari_pathlupi.errors import DamagedTileError
from napari_pathlupi.slides._foreign import HandlePool
from napari_pathlupi.slides._hatch import white
from napari_pathlupi.slides.tiffslide import TiffSlideSlide, open_with_tiffslide


def handles_of(properties: dict) -> HandlePool:
    reader = SimpleNamespace(level_dimensions=[(1000, 900)])
    level = SimpleNamespace(chunks=(240, 240, 3))
    return HandlePool(lambda: SimpleNamespace(reader=reader, properties=properties, level=lambda _: level))


def test_the_declared_bounds_of_a_scan_reach_the_frame_so_that_qupath_regions_line_up(tmp_path: Path) -> None:
    path = tmp_path / "leica.scn"
    path.write_bytes(b"content")
    bounds = {"x": 300, "y": 200, "width": 500, "height": 400}
    properties = {f"tiffslide.bounds-{part}": value for part, value in bounds.items()}
    frame = TiffSlideSlide(path, handles_of(properties)).frame
    assert frame.bounds_px0 == Region((200.0, 300.0), (400.0, 500.0))
    assert frame.qupath_from_px0([200.0, 300.0]).tolist() == [0.0, 0.0]


def test_a_scan_without_declared_bounds_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    path.write_bytes(b"content")
    assert TiffSlideSlide(path, handles_of({"tiffslide.bounds-x": None})).frame.bounds_px0 is None


def test_a_damaged_tile_costs_only_itself(tmp_path: Path) -> None:
    picture = addresses((512, 512))
    path = write_pyramid(tmp_path / "damaged.svs", [picture], tile=256)
    overwrite_tile(path, 3, b"no")
    with open_with_tiffslide(path) as slide:
        with pytest.raises(DamagedTileError, match=r"tile \(1, 1\) of level 0 cannot be decoded"):
            slide.read_level(0, (200, 200), (100, 100))
        seen = slide.lenient(white).read_level(0, (0, 0), (512, 512))
        assert slide.missing_tiles == 1
    assert (seen[256:, 256:] == 255).all()
    assert (seen[:256] == picture[:256]).all()

from pathlib import Path
from types import SimpleNamespace

from napari_pathlupi.core.geometry import Region
from napari_pathlupi.slides._foreign import HandlePool
from napari_pathlupi.slides.tiffslide import TiffSlideSlide


def handles_of(properties: dict) -> HandlePool:
    reader = SimpleNamespace(level_dimensions=[(1000, 900)])
    return HandlePool(lambda: SimpleNamespace(reader=reader, properties=properties))


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

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

from napari_pathlupi.core.geometry import Region
from napari_pathlupi.slides.tiffslide import TiffSlideSlide


def test_the_declared_bounds_of_a_scan_reach_the_frame_so_that_qupath_regions_line_up(tmp_path: Path) -> None:
    path = tmp_path / "leica.scn"
    path.write_bytes(b"content")
    bounds = {"x": 300, "y": 200, "width": 500, "height": 400}
    properties = {f"tiffslide.bounds-{part}": value for part, value in bounds.items()}
    reader = SimpleNamespace(level_dimensions=[(1000, 900)], properties=properties)
    frame = TiffSlideSlide(path, reader, BytesIO()).frame
    assert frame.bounds_px0 == Region((200.0, 300.0), (400.0, 500.0))
    assert frame.qupath_from_px0([200.0, 300.0]).tolist() == [0.0, 0.0]


def test_a_scan_without_declared_bounds_has_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    path.write_bytes(b"content")
    reader = SimpleNamespace(level_dimensions=[(1000, 900)], properties={"tiffslide.bounds-x": None})
    assert TiffSlideSlide(path, reader, BytesIO()).frame.bounds_px0 is None

"""What OpenSlide reads for us: transparency, bounds, scales, handles and its absence."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from addressed import address_of, addresses, overwrite_tile, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import formats
from napari_pathlupi.core.geometry import Region
from napari_pathlupi.errors import MissingExtraError, SlideError, UnknownFormatError
from napari_pathlupi.slides import _fitting
from napari_pathlupi.slides import openslide as adapter
from napari_pathlupi.slides._foreign import HandlePool
from napari_pathlupi.slides.openslide import over_white

pytest.importorskip("openslide", exc_type=ImportError)

PICTURE = addresses((300, 400))


def _fake(monkeypatch: pytest.MonkeyPatch, folder: Path, properties: dict[str, str], step: float = 2.5) -> Any:
    """A slide of two levels as OpenSlide would show it: opaque in the scanned part, nothing around it."""
    asked = []

    def read_region(corner: tuple[int, int], level: int, size: tuple[int, int]) -> np.ndarray:
        asked.append((corner, level, size))
        rgba = np.zeros((size[1], size[0], 4), np.uint8)
        rgba[:20, :30] = (10, 20, 30, 255)
        return rgba

    handle = SimpleNamespace(
        properties=properties,
        level_dimensions=((900, 1000), (360, 400)),
        level_downsamples=(1.0, step),
        read_region=read_region,
        color_profile=None,
        close=lambda: None,
    )
    monkeypatch.setattr(adapter, "_handle", lambda path: handle)
    path = folder / "case.mrxs"
    path.write_bytes(b"points to the files beside it")
    slide = open_slide(path)
    slide.asked = asked
    return slide


def test_what_was_not_scanned_is_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = _fake(monkeypatch, tmp_path, {}).read_level(0, (0, 0), (40, 50))
    assert (pixels[:20, :30] == (10, 20, 30)).all()
    assert (pixels[20:] == 255).all() and (pixels[:, 30:] == 255).all()


def test_bounds_scale_and_vendor_reach_the_panel_and_qupath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = {"x": "300", "y": "200", "width": "500", "height": "400"}
    properties = {
        "openslide.vendor": "mirax",
        "openslide.mpp-x": "0.2525",
        "openslide.mpp-y": "0.26",
        **{f"openslide.bounds-{part}": value for part, value in bounds.items()},
    }
    slide = _fake(monkeypatch, tmp_path, properties)
    assert (slide.mpp.y, slide.mpp.x, slide.mpp.source) == (0.26, 0.2525, "read by OpenSlide")
    assert slide.frame.bounds_px0 == Region((200.0, 300.0), (400.0, 500.0))
    assert slide.frame.qupath_from_px0([200.0, 300.0]).tolist() == [0.0, 0.0]
    assert slide.vendor == "mirax (through OpenSlide)"


def test_a_coarse_tile_is_asked_for_in_openslides_own_coordinates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "VIRTUAL_TILE_PX", 15)
    slide = _fake(monkeypatch, tmp_path, {})
    slide.read_level(1, (392, 20), (2, 4))
    assert slide.asked == [((38, 975), 1, (15, 10))]  # 15 * 2.5 to the nearest, 390 * 2.5; cut at the edge


def test_two_slides_whose_named_files_are_equal_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = [_fake(monkeypatch, tmp_path, {"openslide.quickhash-1": name}).fingerprint for name in ("a", "b", "a")]
    assert prints[0] == prints[2] != prints[1]


def test_transparency_is_mixed_with_white_to_the_nearest_grey_level() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (64, 64, 4)).astype(np.uint8)
    share = rgba[..., 3:] / 255
    assert np.abs(over_white(rgba) - (rgba[..., :3] * share + 255 * (1 - share))).max() <= 0.5
    rgba[..., 3] = 255
    assert (over_white(rgba) == rgba[..., :3]).all()


@pytest.mark.parametrize("name", ["wsi/CMU-1-Small-Region.svs", "wsi/test3-DAPI-2-(387).ndpi"])
def test_a_real_slide_has_the_pixels_and_the_scale_that_our_own_reader_gives(name: str, shared_data: Path) -> None:
    ours, theirs = open_slide(shared_data / name), formats["openslide"].open(shared_data / name)
    assert type(ours) is not type(theirs)
    assert (theirs.mpp.y, theirs.mpp.x) == pytest.approx((ours.mpp.y, ours.mpp.x), rel=1e-9)
    assert theirs.fingerprint == ours.fingerprint
    regions = [slide.read_level(0, (1000, 800), (400, 500)) for slide in (ours, theirs)]
    assert (regions[0] == regions[1]).all()


@pytest.mark.parametrize("shape", [(5, 64, 64), (64, 64, 2)])
def test_a_tiff_of_no_scanner_is_left_to_our_own_readers(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros(shape, np.uint8), photometric="minisblack", planarconfig="contig", tile=(32, 32))
    with pytest.raises(UnknownFormatError, match="OpenSlide knows no slide scanner"):
        formats["openslide"].open(path)


def test_a_printers_resolution_is_not_a_scale(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.zvi", [PICTURE], resolution=(72, 72), resolutionunit="INCH")
    assert open_slide(path).frame.mpp is None


def test_overlapping_ventana_tiles_go_to_openslide_before_our_own_readers(tmp_path: Path) -> None:
    (tmp_path / "a.bif").touch()
    assert _fitting(tmp_path / "a.bif")[0] is adapter.FORMAT
    assert _fitting(tmp_path / "a.scn")[-1] is adapter.FORMAT


@pytest.mark.parametrize("broken", [False, True])
def test_a_missing_or_broken_library_is_named_in_one_sentence(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "openslide"]:
        monkeypatch.delitem(sys.modules, name)
    if broken:
        (tmp_path / "openslide.py").write_text("raise OSError('libopenslide.so.1: cannot open shared object file')")
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setitem(sys.modules, "openslide", None)
    (tmp_path / "case.mrxs").write_bytes(b"content")
    with pytest.raises(MissingExtraError, match=r"'napari-pathlupi\[openslide\]'") as caught:
        open_slide(tmp_path / "case.mrxs")
    assert "\n" not in str(caught.value)
    (tmp_path / "noise.svs").write_bytes(b"\x01\x02" * 500)
    with pytest.raises(SlideError, match=r"no TIFF file .*; this file needs openslide"):
        open_slide(tmp_path / "noise.svs")


def test_what_openslide_cannot_open_or_decode_is_told_and_the_rest_stays_readable(tmp_path: Path) -> None:
    (tmp_path / "noise.mrxs").write_bytes(b"\x01\x02" * 500)
    with pytest.raises(SlideError, match=r"cannot open noise\.mrxs: OpenSlide does not know"):
        open_slide(tmp_path / "noise.mrxs")
    picture = addresses((600, 700))
    path = write_pyramid(tmp_path / "cut.zvi", [picture])
    overwrite_tile(path, 0, bytes(range(60)))
    slide = open_slide(path)
    for _ in range(2):  # a handle that failed never works again: each read needs another
        with pytest.raises(SlideError, match=r"tile \(0, 0\) of level 0 cannot be decoded"):
            slide.read_level(0, (3, 3), (9, 9))
        assert (address_of(slide.read_level(0, (520, 530), (20, 30)))[0, 0] == (520, 530)).all()
    painted = slide.lenient().read_level(0, (500, 500), (40, 40))
    assert (painted[:12, :12] == 255).all() and (painted[12:, 12:] == picture[512:540, 512:540]).all()
    assert slide.missing_tiles == 1


def test_a_handle_is_never_lent_twice_at_once_and_all_are_closed_at_the_end() -> None:
    class Handle:
        def __init__(self) -> None:
            opened.append(self)
            self.busy, self.closed = threading.Lock(), 0

        def close(self) -> None:
            self.closed += 1

    opened: list[Handle] = []
    pool = HandlePool(Handle)

    def use(turn: int) -> None:
        with pool.borrowed() as handle:
            assert handle.busy.acquire(blocking=False) and not handle.closed
            if turn % 50 == 0:
                pool.close()
            handle.busy.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(400)))
    pool.close()
    assert [handle.closed for handle in opened] == [1] * len(opened)
    with pytest.raises(ValueError, match="spoiled"), pool.borrowed() as handle:
        raise ValueError("spoiled")
    assert handle.closed == 1

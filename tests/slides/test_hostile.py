"""TIFF files that are damaged, cut short or made to do harm."""

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tifffile

from addressed import addresses, overwrite_tile, place_of_tile, write_jpeg, write_pyramid
from mutations import handles_on, use
from napari_pathlupi import open_slide
from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides import _source
from napari_pathlupi.slides import tiff as tiff_format
from napari_pathlupi.slides._bands import BAND_PIXELS, halved_in_bands
from napari_pathlupi.slides._slide import fingerprint_of
from napari_pathlupi.slides.tiff import open_tiff

pytestmark = pytest.mark.filterwarnings("ignore")  # of tifffile and numpy, about nonsense


def test_a_file_that_lacks_some_tiles_opens_counts_them_and_paints_them_white(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "cut.svs", 512)
    offset, _ = place_of_tile(path, 50)  # of 64
    os.truncate(path, offset)
    slide = open_slide(path)
    assert slide.missing_tiles == 14
    with pytest.raises(SlideError, match=r"cut.svs: tile \(7, 7\) of level 0 cannot be decoded .*outside the file"):
        slide.read_level(0, (448, 448), (64, 64))
    assert slide.read_level(0, (0, 0), (64, 64)).std() > 1
    painted = slide.lenient().read_level(0, (0, 0), (512, 512))
    assert (painted[448:] == 255).all()
    assert painted[:384].std() > 1
    assert slide.pyramid()[0][448:].compute(scheduler="sync").std() > 10  # hatched
    assert slide.thumbnail(64).shape == (64, 64, 3)


def test_of_a_file_cut_short_more_than_half_level_zero_is_needed(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "half.svs", 512)
    os.truncate(path, place_of_tile(path, 20)[0])
    with pytest.raises(SlideError, match=r"half.svs ends in the middle of level 0 \(\d\d % of it"):
        open_slide(path)


def test_a_reduced_level_that_is_gone_is_left_out(tmp_path: Path) -> None:
    full = addresses((512, 512))
    path = write_pyramid(tmp_path / "levels.tif", [full, full[::2, ::2], full[::4, ::4]], compression="jpeg")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tags = tiff.pages[1].tags["TileOffsets"]
        tags.overwrite([offset + 10**8 for offset in tags.value])
    slide = open_slide(path)
    assert [level.downsample for level in slide.levels] == [1, 4]
    assert slide.read_level(0, (0, 0), (256, 256), halvings=1).std() > 1


def test_an_undecodable_tile_costs_only_itself(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "one.svs")
    overwrite_tile(path, 5, bytes(place_of_tile(path, 5)[1]))
    slide = open_slide(path)
    assert slide.missing_tiles == 0
    painted = slide.lenient().read_level(0, (0, 0), (256, 256))
    assert slide.missing_tiles == 1
    assert (painted[64:128, 64:128] == 255).all()
    assert painted[:64].std() > 1
    with pytest.raises(SlideError, match=r"tile \(1, 1\) of level 0"):
        slide.read_level(0, (0, 0), (256, 256))


@pytest.mark.parametrize("period", [1, 2, 150])
def test_an_index_that_goes_in_circles_ends(tmp_path: Path, period: int) -> None:
    path = tmp_path / "circle.tif"
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(period):
            tiff.write(np.zeros((16, 16, 3), np.uint8), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        first, last = tiff.pages[0], tiff.pages[-1]
        place = last.offset + 2 + 12 * len(last.tags)
    data = bytearray(path.read_bytes())
    data[place : place + 4] = struct.pack("<I", first.offset)
    path.write_bytes(data)
    started = time.process_time()
    use(path, open_slide)
    assert time.process_time() - started < 5


def test_a_slide_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_jpeg(tmp_path / "locked.svs")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tiff_format.LocalSource, "file", refuse)
    with pytest.raises(SlideError, match=r"locked.svs cannot be opened \(Permission denied\): check your rights"):
        open_slide(path)


def test_a_file_replaced_while_open_is_never_mixed_with_its_successor(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "same.svs")
    slide = open_slide(path)
    slide.read_level(0, (0, 0), (64, 64))
    successor = np.full((256, 256, 3), 9, np.uint8)
    path.write_bytes(write_pyramid(tmp_path / "other.svs", [successor], compression="jpeg").read_bytes())
    with pytest.raises(SlideError, match=r"same.svs (was replaced while it was open|ends in the middle)"):
        slide.read_level(0, (128, 128), (64, 64))
    assert (open_slide(path).read_level(0, (0, 0), (64, 64)) == 9).all()


def test_a_file_that_was_only_touched_goes_on(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "touched.svs")
    slide = open_slide(path)
    slide.read_level(0, (0, 0), (64, 64))
    os.utime(path, (1, 1))
    assert slide.read_level(0, (128, 128), (64, 64)).std() > 1


def test_a_drive_that_tells_two_times_of_a_file_costs_one_more_look_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[Path]()

    def counted(path: Path) -> str:
        looks.append(path)
        return fingerprint_of(path)

    monkeypatch.setattr(_source, "fingerprint_of", counted)
    path = write_jpeg(tmp_path / "shared.svs")
    of_open_files = os.fstat
    monkeypatch.setattr(os, "fstat", lambda number: os.stat_result([*of_open_files(number)[:8], 1, 1]))
    slide = open_slide(path)
    for place in range(0, 256, 64):
        slide.read_level(0, (place, place), (64, 64))
    assert len(looks) == 2  # when it was opened, and when the times were first seen to differ


def test_a_file_deleted_while_open_goes_on_until_it_is_closed(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "gone.svs")
    slide, other = open_slide(path), open_slide(write_jpeg(tmp_path / "other.svs"))
    slide.read_level(0, (0, 0), (64, 64))
    path.unlink()
    assert slide.read_level(0, (128, 128), (64, 64)).std() > 1
    slide.close()
    with pytest.raises(SlideError, match=r"gone.svs can no longer be read"):
        slide.read_level(0, (0, 128), (64, 64))
    assert other.read_level(0, (0, 0), (64, 64)).std() > 1


def test_closing_while_another_reads_never_cuts_it_short(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = write_pyramid(tmp_path / "busy.svs", [addresses((1000, 1000))])
    slide = open_tiff(path)
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(slide.read_level, 0, (y, 0), (8, 1000)) for y in range(0, 990, 8)]
        for _ in range(200):
            slide.close()
        assert all((read.result()[0, :, 0] == (y & 255)).all() for y, read in zip(range(0, 990, 8), reads, strict=True))
    slide.close()
    assert handles_on(path) == 0


def test_halving_often_holds_little_of_a_large_slide_at_once() -> None:
    held = []

    def read(origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
        held.append(shape[0] * shape[1])
        return np.full((*shape, 3), 7, np.uint8)

    assert (halved_in_bands(read, (0, 0), (2, 9), 11) == 7).all()
    assert max(held) <= BAND_PIXELS


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")  # of tifffile, about nonsense
def test_a_changed_byte_in_the_index_is_one_sentence(tmp_path: Path) -> None:
    whole = write_pyramid(tmp_path / "whole.svs", [addresses((200, 300)), addresses((50, 75))]).read_bytes()
    with tifffile.TiffFile(tmp_path / "whole.svs") as tiff:
        heads = [offset for page in tiff.pages for offset in range(page.offset, page.offset + 2 + 12 * len(page.tags))]
    rng = np.random.default_rng(5)
    for attempt in range(300):
        damaged = bytearray(whole)
        for offset in rng.choice(heads, 2):
            damaged[offset] = rng.integers(256)
        path = tmp_path / f"{attempt}.svs"
        path.write_bytes(damaged)
        try:
            open_slide(path).close()
        except SlideError as error:
            assert "\n" not in str(error)


def test_a_damaged_jpeg_tile_is_told_and_never_grey(tmp_path: Path) -> None:
    path = write_jpeg(tmp_path / "jpeg.svs")
    offset, count = place_of_tile(path, 5)
    data = bytearray(path.read_bytes())
    data[offset + count // 4 : offset + count] = bytes(count - count // 4)
    path.write_bytes(data)
    slide = open_slide(path)
    with pytest.raises(SlideError, match=r"tile \(1, 1\) of level 0 cannot be decoded"):
        slide.read_level(0, (0, 0), (256, 256))
    assert slide.read_level(0, (128, 128), (64, 64)).shape == (64, 64, 3)


def test_a_jpeg_cut_short_is_told(tmp_path: Path) -> None:
    whole = simplejpeg.encode_jpeg(addresses((200, 300)))
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SlideError, match=r"cut.jpg cannot be decoded"):
        open_slide(tmp_path / "cut.jpg")


def test_a_file_that_ends_before_its_index_says_so(shared_data: Path, tmp_path: Path) -> None:
    for name in ("CMU-1-Small-Region.svs", "test3-DAPI-2-(387).ndpi"):
        path = tmp_path / name
        path.write_bytes((shared_data / "wsi" / name).read_bytes()[:300_000])
        with pytest.raises(SlideError, match=r"ends before its index, after 0\.3 MB: copy it again"):
            open_slide(path)

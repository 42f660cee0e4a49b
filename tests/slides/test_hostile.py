"""TIFF files that are damaged, cut short or made to do harm."""

import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from addressed import addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.errors import PathlupiError, SlideError
from napari_pathlupi.slides import tiff as tiff_format
from napari_pathlupi.slides._bands import BAND_PIXELS, halved_in_bands
from napari_pathlupi.slides.tiff import open_tiff

pytestmark = pytest.mark.filterwarnings("ignore")  # of tifffile and numpy, about nonsense
PICTURE = addresses((200, 300))
HANDLES = Path("/proc/self/fd")
CASES_OF_EACH = 350


def _ome(folder: Path) -> Path:
    path = folder / "made.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        options = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
        tiff.write(
            PICTURE, subifds=1, metadata={"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}, **options
        )
        tiff.write(PICTURE[::2, ::2], subfiletype=1, **options)
    return path


def _strips(folder: Path) -> Path:
    path = folder / "strips.tif"
    tifffile.imwrite(path, PICTURE, photometric="rgb", rowsperstrip=16, compression="lzw", predictor=True)
    return path


SEEDS: dict[str, Callable[[Path], Path]] = {
    "jpeg": lambda f: write_pyramid(f / "jpeg.svs", [PICTURE, PICTURE[::4, ::4]], compression="jpeg"),
    "deflate": lambda f: write_pyramid(f / "deflate.tif", [PICTURE, PICTURE[::2, ::2]], bigtiff=True),
    "jpeg-2000": lambda f: write_pyramid(f / "j2k.svs", [PICTURE], compression=33005),
    "plain": lambda f: write_pyramid(f / "plain.svs", [PICTURE], compression="none"),
    "ome": _ome,
    "strips": _strips,
}


def _index_of(path: Path) -> list[int]:
    """Where the bytes of the index lie: every IFD and what its entries point to."""
    with tifffile.TiffFile(path) as tiff:
        pages = list(tiff.pages) + [sub for page in tiff.pages for sub in (page.pages or [])]
        entry = 20 if tiff.is_bigtiff else 12
        places = list(range(16))
        for page in pages:
            places += range(page.offset, page.offset + 8 + entry * len(page.tags))
            for tag in page.tags:
                places += range(tag.valueoffset, tag.valueoffset + min(64, 8 * tag.count))
    return sorted(set(places))


def _mutated(data: bytes, index: list[int], rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    kind = rng.integers(5)
    if kind == 0:
        return bytes(changed[: rng.integers(1, len(data))])
    if kind == 1:  # anywhere
        for place in rng.integers(len(data), size=rng.integers(1, 20)):
            changed[place] = rng.integers(256)
    elif kind == 2:  # a number of the index at its extremes
        place = int(rng.choice(index[:-4]))
        changed[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0"])
    elif kind == 3:  # bytes of the index
        for place in rng.choice(index, rng.integers(1, 6)):
            changed[place] = rng.integers(256)
    else:  # a part of the file where another belongs
        count = int(rng.integers(1, 64))
        source, target = rng.integers(len(data) - count, size=2)
        changed[target : target + count] = data[source : source + count]
    return bytes(changed)


def _use(path: Path) -> None:
    """What a session does first: open, look at the whole, read a part. Only our own errors may come out."""
    try:
        with open_slide(path) as slide:
            slide.thumbnail(64)
            slide.read_level(0, (40, 50), (80, 80))
    except PathlupiError as error:
        assert "\n" not in str(error)
        assert str(error)


def _handles_on(path: Path) -> int:
    """How many handles of this process are open on a file; 0 where that cannot be known."""
    if not HANDLES.exists():
        return 0
    return sum(1 for handle in HANDLES.iterdir() if handle.is_symlink() and os.readlink(handle) == str(path))  # noqa: PTH115


@pytest.mark.parametrize("seed", list(SEEDS))
def test_of_mutated_files_only_our_errors_come_out_and_no_handle_stays(seed: str, tmp_path: Path) -> None:
    path = SEEDS[seed](tmp_path)
    _fuzz(path, tmp_path / f"mutated{path.suffix}", CASES_OF_EACH)


@pytest.mark.parametrize("name", ["wsi/CMU-1-Small-Region.svs", "wsi/test3-DAPI-2-(387).ndpi"])
def test_of_mutated_real_slides_too(shared_data: Path, name: str, tmp_path: Path) -> None:
    _fuzz(shared_data / name, tmp_path / f"mutated{(shared_data / name).suffix}", 25)


def _fuzz(path: Path, mutated: Path, cases: int) -> None:
    data, index, rng = path.read_bytes(), _index_of(path), np.random.default_rng(17)
    for _ in range(cases):
        mutated.write_bytes(_mutated(data, index, rng))
        started = time.process_time()
        _use(mutated)
        assert time.process_time() - started < 5
    assert _handles_on(mutated) == 0


def _retagged(path: Path, **values: object) -> Path:
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, value in values.items():
            tiff.pages[0].tags[name].overwrite(value)
    return path


def _jpeg(path: Path, side: int = 256) -> Path:
    return write_pyramid(path, [addresses((side, side))], compression="jpeg")


def _place_of_tile(path: Path, index: int) -> tuple[int, int]:
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[0].dataoffsets[index], tiff.pages[0].databytecounts[index]


def test_a_file_that_lacks_some_tiles_opens_counts_them_and_paints_them_white(tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "cut.svs", 512)
    offset, _ = _place_of_tile(path, 50)  # of 64
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
    path = _jpeg(tmp_path / "half.svs", 512)
    os.truncate(path, _place_of_tile(path, 20)[0])
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
    path = _jpeg(tmp_path / "one.svs")
    offset, count = _place_of_tile(path, 5)
    data = bytearray(path.read_bytes())
    data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    slide = open_slide(path)
    assert slide.missing_tiles == 0
    painted = slide.lenient().read_level(0, (0, 0), (256, 256))
    assert slide.missing_tiles == 1
    assert (painted[64:128, 64:128] == 255).all()
    assert painted[:64].std() > 1
    with pytest.raises(SlideError, match=r"tile \(1, 1\) of level 0"):
        slide.read_level(0, (0, 0), (256, 256))


@pytest.mark.parametrize("side", [32, 128, 40_000])
@pytest.mark.parametrize("codec", ["jpeg", 33005])
def test_a_tile_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path, side: int, codec: object) -> None:
    path = write_pyramid(tmp_path / "wrong.svs", [addresses((256, 256))], compression=codec)
    data = bytearray(path.read_bytes())
    offset, count = _place_of_tile(path, 0)
    if codec == "jpeg":  # the height and the width of the frame header, ITU-T T.81 B.2.2
        place = data.index(b"\xff\xc0", offset) + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    else:  # Xsiz and Ysiz, ISO/IEC 15444-1 A.5.1
        place = data.index(b"\xff\x4f\xff\x51", offset, offset + count) + 8
        data[place : place + 8] = struct.pack(">II", side, side)
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SlideError, match=f"holds {side} × {side} px where 64 × 64 belong"):
        open_slide(path).read_level(0, (0, 0), (64, 64))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_a_deflate_bomb_gives_no_more_than_a_tile(tmp_path: Path) -> None:
    import zlib

    bomb = zlib.compress(bytes(300_000_000), 9)
    tiles = iter([bomb] * 16)
    path = tmp_path / "bomb.tif"
    options = {"shape": (256, 256, 3), "dtype": np.uint8, "tile": (64, 64), "photometric": "rgb"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(tiles, compression="deflate", **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _use(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize(
    "tags",
    [
        {"ImageWidth": 10**6, "ImageLength": 10**6},
        {"ImageWidth": 0},
        {"TileWidth": 0},
        {"TileWidth": 2**16, "TileLength": 2**16},
        {"TileWidth": 2**31, "TileLength": 2**31},
        {"TileOffsets": [2**32 - 1] * 16},
        {"TileOffsets": [0] * 16},
        {"TileByteCounts": [2**32 - 1] * 16},
    ],
    ids=str,
)
def test_absurd_sizes_are_told_in_one_sentence_without_their_memory(tmp_path: Path, tags: dict[str, object]) -> None:
    path = _retagged(_jpeg(tmp_path / "absurd.svs"), **tags)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(SlideError, match=r"absurd\.svs") as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


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
    _use(path)
    assert time.process_time() - started < 5


def test_a_slide_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _jpeg(tmp_path / "locked.svs")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tiff_format.LocalSource, "file", refuse)
    with pytest.raises(SlideError, match=r"locked.svs cannot be opened \(Permission denied\): check your rights"):
        open_slide(path)


def test_a_file_replaced_while_open_is_never_mixed_with_its_successor(tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "same.svs")
    slide = open_slide(path)
    slide.read_level(0, (0, 0), (64, 64))
    successor = np.full((256, 256, 3), 9, np.uint8)
    path.write_bytes(write_pyramid(tmp_path / "other.svs", [successor], compression="jpeg").read_bytes())
    with pytest.raises(SlideError, match=r"same.svs (was replaced while it was open|ends in the middle)"):
        slide.read_level(0, (128, 128), (64, 64))
    assert (open_slide(path).read_level(0, (0, 0), (64, 64)) == 9).all()


def test_a_file_that_was_only_touched_goes_on(tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "touched.svs")
    slide = open_slide(path)
    slide.read_level(0, (0, 0), (64, 64))
    os.utime(path, (1, 1))
    assert slide.read_level(0, (128, 128), (64, 64)).std() > 1


def test_a_file_deleted_while_open_goes_on_until_it_is_closed(tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "gone.svs")
    slide, other = open_slide(path), open_slide(_jpeg(tmp_path / "other.svs"))
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
    assert _handles_on(path) == 0


def test_halving_often_holds_little_of_a_large_slide_at_once() -> None:
    held = []

    def read(origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
        held.append(shape[0] * shape[1])
        return np.full((*shape, 3), 7, np.uint8)

    assert (halved_in_bands(read, (0, 0), (2, 9), 11) == 7).all()
    assert max(held) <= BAND_PIXELS

"""Files that state sizes which cannot be: refused in one sentence, without the time and the memory."""

import resource
import struct
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile

from addressed import addresses, place_of_tile, write_jpeg, write_pyramid
from foreign_slides import write_ome_zarr
from mutations import use
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import formats
from napari_pathlupi.errors import SlideError, UnknownFormatError

PICTURE = addresses((200, 300))
pytestmark = pytest.mark.filterwarnings("ignore")  # of tifffile and numpy, about nonsense


def _retagged(path: Path, **values: object) -> Path:
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, value in values.items():
            tiff.pages[0].tags[name].overwrite(value)
    return path


def _with_first_tile_of(side: int, codec: object, path: Path) -> Path:
    """A slide whose first tile says that it is so many pixels high and wide."""
    write_pyramid(path, [addresses((256, 256))], compression=codec)
    data = bytearray(path.read_bytes())
    offset, count = place_of_tile(path, 0)
    if codec == "jpeg":  # the height and the width of the frame header, ITU-T T.81 B.2.2
        place = data.index(b"\xff\xc0", offset) + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    else:  # Xsiz and Ysiz, ISO/IEC 15444-1 A.5.1
        place = data.index(b"\xff\x4f\xff\x51", offset, offset + count) + 8
        data[place : place + 8] = struct.pack(">II", side, side)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("side", [32, 128, 40_000])
@pytest.mark.parametrize("codec", ["jpeg", 33005])
def test_a_tile_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path, side: int, codec: object) -> None:
    path = _with_first_tile_of(side, codec, tmp_path / "wrong.svs")
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
    use(path, open_slide)
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
    path = _retagged(write_jpeg(tmp_path / "absurd.svs"), **tags)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(SlideError, match=r"absurd\.svs") as caught:
        open_slide(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("reader", ["tiffslide", "openslide"])
@pytest.mark.parametrize("shape", [(1_000_000, 1_000_000), (40, 2_000_000_000)])
def test_other_peoples_readers_never_walk_through_a_size_that_the_file_cannot_hold(
    shape: tuple[int, int], reader: str, tmp_path: Path
) -> None:
    pytest.importorskip(reader, exc_type=ImportError)
    path = tmp_path / f"absurd{'.zvi' if reader == 'openslide' else '.tif'}"
    write_pyramid(path, [addresses((256, 256))])
    _retagged(path, ImageLength=shape[0], ImageWidth=shape[1], TileWidth=2**16, TileLength=2**10)
    started = time.process_time()
    with pytest.raises(SlideError, match=r"absurd\.(zvi|tif)|tiles of"):
        formats[reader].open(path)
    assert time.process_time() - started < 2


def test_a_tile_for_which_openslide_would_end_the_process_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openslide", exc_type=ImportError)
    path = _retagged(write_jpeg(tmp_path / "huge.zvi"), TileWidth=1_493_172_288)
    with pytest.raises(SlideError, match=r"huge\.zvi is cut into tiles of 1,493,172,288 × 64 px"):
        open_slide(path)


@pytest.mark.parametrize("name", ["bomb.png", "bomb.jpg"])
def test_a_small_picture_that_unpacks_to_gigabytes_is_refused(name: str, tmp_path: Path) -> None:
    data = bytearray(imagecodecs.png_encode(PICTURE) if name.endswith("png") else simplejpeg.encode_jpeg(PICTURE))
    if name.endswith("png"):
        data[16:24] = struct.pack(">II", 60_000, 60_000)
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", 60_000, 60_000)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SlideError, match=r"bomb\.\w+ has 60,000 × 60,000 px, and at most 268 million"):
        open_slide(tmp_path / name)


def test_a_folder_never_holds_more_than_its_files(tmp_path: Path) -> None:
    folder = write_ome_zarr(tmp_path / "absurd.zarr", [addresses((256, 256))])
    document = folder / "0" / ".zarray"
    document.write_text(document.read_text().replace("256", "1000000"))
    with pytest.raises(SlideError, match=r"absurd.zarr states a size of 1,000,000 × 1,000,000 px, which its 0\.\d MB"):
        open_slide(folder)


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
def test_what_damaged_bytes_can_crash_is_never_decoded_through_tiffslide(compression: str, tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.svs", [addresses((256, 256))], compression=compression)
    with pytest.raises(UnknownFormatError, match=r"tiffslide cannot open it either .*compressed by method"):
        formats["tiffslide"].open(path)


@pytest.mark.parametrize("codec", ["jpeg", 33005])
def test_a_tile_larger_than_stated_is_refused_through_tiffslide_too(codec: object, tmp_path: Path) -> None:
    path = _with_first_tile_of(40_000, codec, tmp_path / "bomb.svs")
    with (
        formats["tiffslide"].open(path) as slide,
        pytest.raises(SlideError, match=r"bomb\.svs: tile \(0, 0\) of level 0 .* holds 1,600,000,000 px"),
    ):
        slide.read_level(0, (0, 0), (64, 64))

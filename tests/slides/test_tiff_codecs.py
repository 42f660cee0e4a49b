"""The codecs of TIFF files: exact, close to averaging where halved, and each picture decoded once."""

from pathlib import Path

import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from scipy.ndimage import gaussian_filter

from addressed import addresses, write_pyramid
from napari_pathlupi import open_slide
from napari_pathlupi.slides._tiff_tiles import TiledPage

CODECS: dict[str, dict[str, object]] = {
    "none": {"compression": "none"},
    "lzw": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "deflate", "predictor": True},
    "jpeg-444": {"compression": "jpeg", "subsampling": (1, 1)},
    "jpeg-422": {"compression": "jpeg", "subsampling": (2, 1)},
    "jpeg-420": {"compression": "jpeg", "subsampling": (2, 2)},
    "jpeg-rgb": {"compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}},
    "jpeg-bigtiff": {"compression": "jpeg", "bigtiff": True},
    "j2k-rgb-lossless": {"compression": 33005, "compressionargs": {"reversible": True}},
    "j2k-rgb": {"compression": 33005, "compressionargs": {"level": 40}},
    "j2k-ycbcr-lossless": {"compression": 33003, "compressionargs": {"reversible": True}},
    "j2k-ycbcr": {"compression": 33003, "compressionargs": {"level": 40}},
}


@pytest.mark.parametrize("codec", list(CODECS))
def test_every_codec_of_aperio_gives_the_pixels_of_openslide(codec: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    picture = gaussian_filter(rng.uniform(0, 255, (333, 417, 3)), (1.5, 1.5, 0))
    picture = ((picture - 128) * 6 + 128).clip(0, 255).astype(np.uint8)  # strong colours, and clipped ones
    path = write_pyramid(tmp_path / "codec.svs", [picture, picture[::4, ::4]], tile=128, **CODECS[codec])
    slide = open_slide(path)
    with openslide.OpenSlide(path) as reference:
        for level in range(2):
            height, width = slide.levels[level].shape_px
            theirs = np.asarray(reference.read_region((0, 0), level, (width, height)).convert("RGB"))
            assert (slide.read_level(level, (0, 0), (height, width)) == theirs).all()
    if codec in ("none", "lzw", "deflate", "j2k-rgb-lossless"):
        assert (slide.read_level(0, (0, 0), picture.shape[:2]) == picture).all()


def test_shared_jpeg_tables_are_put_before_each_tile(tmp_path: Path) -> None:
    picture = gaussian_filter(np.random.default_rng(6).uniform(0, 255, (256, 384, 3)), (2, 2, 0)).astype(np.uint8)
    path = tmp_path / "tables.svs"
    tiles = [picture[y : y + 128, x : x + 128] for y in (0, 128) for x in (0, 128, 256)]
    streams = [simplejpeg.encode_jpeg(np.ascontiguousarray(tile), 85, "RGB", "420") for tile in tiles]
    tables = _tables_of(streams[0])
    bare = [_without_tables(stream) for stream in streams]
    words = "Aperio Image Library v12\n384x256 |AppMag = 40|MPP = 0.2500"
    tags = [(347, 7, len(tables), tables, True)]
    with tifffile.TiffWriter(path) as tiff:
        options = {"photometric": "ycbcr", "subsampling": (2, 2), "extratags": tags, "description": words}
        shape = {"shape": (256, 384, 3), "dtype": np.uint8, "tile": (128, 128)}
        tiff.write(iter(bare), compression="jpeg", metadata=None, **shape, **options)
    with openslide.OpenSlide(path) as reference:
        theirs = np.asarray(reference.read_region((0, 0), 0, (384, 256)).convert("RGB"))
    assert (open_slide(path).read_level(0, (0, 0), (256, 384)) == theirs).all()


def _segments(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The marker segments of a JPEG before its scan, and the scan."""
    found, place = [], 2
    while stream[place + 1] != 0xDA:
        length = int.from_bytes(stream[place + 2 : place + 4], "big") + 2
        found.append((stream[place + 1], stream[place : place + length]))
        place += length
    return found, stream[place:]


def _tables_of(stream: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(s for marker, s in _segments(stream)[0] if marker in (0xDB, 0xC4)) + b"\xff\xd9"


def _without_tables(stream: bytes) -> bytes:
    segments, scan = _segments(stream)
    return b"\xff\xd8" + b"".join(s for marker, s in segments if marker not in (0xDB, 0xC4)) + scan


def test_every_level_of_a_restart_marker_ndpi_equals_openslide(shared_data: Path) -> None:
    path = shared_data / "wsi/test3-DAPI-2-(387).ndpi"
    slide = open_slide(path)
    with openslide.OpenSlide(path) as reference:
        for level in slide.levels:
            height, width = level.shape_px
            theirs = reference.read_region((0, 0), reference.level_dimensions.index((width, height)), (width, height))
            mine = slide.read_level(slide.levels.index(level), (0, 0), (height, width))
            assert (mine == np.asarray(theirs.convert("RGB"))).all()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "jpeg"},
        {"compression": "lzw"},
        {"compression": "jpeg2000", "compressionargs": {"reversible": True}},
        {"compression": "none"},
    ],
)
def test_halving_while_decoding_is_close_to_averaging(tmp_path: Path, options: dict[str, object]) -> None:
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.normal(0, 1, (320, 480, 3)), (9, 9, 0))
    smooth = (128 + 60 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    slide = open_slide(write_pyramid(tmp_path / "codec.svs", [smooth], **options))
    for halvings in (1, 2, 3):
        n = 2**halvings
        means = slide.read_level(0, (0, 0), (320, 480)).reshape(320 // n, n, 480 // n, n, 3).mean((1, 3))
        mine = slide.read_level(0, (0, 0), (320 // n, 480 // n), halvings)
        error = np.square(mine - means).mean()
        assert 10 * np.log10(255**2 / max(error, 1e-9)) >= 47


def test_real_slides_halve_like_an_average(shared_data: Path) -> None:
    slide = open_slide(shared_data / "wsi/CMU-1-Small-Region.svs")
    means = slide.read_level(0, (0, 0), (2960, 2208)).reshape(1480, 2, 1104, 2, 3).mean((1, 3))
    error = np.square(slide.read_level(0, (0, 0), (1480, 1104), halvings=1) - means).mean()
    assert 10 * np.log10(255**2 / error) >= 47


def test_tiles_of_the_same_bytes_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.full((640, 640, 3), 240, np.uint8)
    picture[:64, :64] = addresses((64, 64))
    slide = open_slide(write_pyramid(tmp_path / "glass.svs", [picture], compression="jpeg"))
    decoded = []
    decode = TiledPage.decode
    monkeypatch.setattr(
        TiledPage, "decode", lambda page, data, *place: decoded.append(data) or decode(page, data, *place)
    )
    pixels = slide.read_level(0, (0, 0), (640, 640))
    assert len(decoded) == len(set(decoded)) == 2
    assert np.abs(pixels[64:].astype(int) - 240).max() <= 1

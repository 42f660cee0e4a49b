"""Slides of every kind with random damage. ``PATHLUPI_FUZZ_CASES=2000 pytest -s`` on this file is the long run."""

import os
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import pytest
import simplejpeg
import tifffile

from addressed import addresses, write_pyramid
from foreign_slides import write_dicom
from mutations import fuzz
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import formats
from napari_pathlupi.slides._cache import TILES

pytestmark = pytest.mark.filterwarnings("ignore")  # of tifffile and numpy, about nonsense
PICTURE = addresses((200, 300))
LONG = int(os.environ.get("PATHLUPI_FUZZ_CASES", "0"))


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


def _written(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


SEEDS: dict[str, Callable[[Path], Path]] = {
    "jpeg": lambda f: write_pyramid(f / "jpeg.svs", [PICTURE, PICTURE[::4, ::4]], compression="jpeg"),
    "deflate": lambda f: write_pyramid(f / "deflate.tif", [PICTURE, PICTURE[::2, ::2]], bigtiff=True),
    "jpeg-2000": lambda f: write_pyramid(f / "j2k.svs", [PICTURE], compression=33005),
    "plain": lambda f: write_pyramid(f / "plain.svs", [PICTURE], compression="none"),
    "lzw": lambda f: write_pyramid(f / "lzw.svs", [PICTURE], compression="lzw", predictor=True),
    "ome": _ome,
    "strips": _strips,
    "png": _written("picture.png", imagecodecs.png_encode(PICTURE)),
    "jpg": _written("picture.jpg", simplejpeg.encode_jpeg(PICTURE)),
    "dicom": lambda f: write_dicom(f / "series", [PICTURE])[0],
}
ADAPTED = ["jpeg", "deflate", "jpeg-2000", "plain", "lzw", "strips"]
REAL = [
    "wsi/CMU-1-Small-Region.svs",
    "wsi/test3-DAPI-2-(387).ndpi",
    "wsi/kidney-48-5_flat.tif",
    "wsi/camelyon_j2k_level.dcm",
    "derived/CMU-1-Small-Region.ome.tif",
]


@pytest.fixture(autouse=True)
def _few_tiles_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TILES, "limit_bytes", 64_000_000)  # or the memory measured is that of tiles that are kept


def _fuzz(path: Path, damaged: Path, open_file: Callable[[Path], object], few: int) -> None:
    found = fuzz(path, damaged, open_file, LONG or few)
    if LONG:
        print(f"\n{damaged.name}: {found}")


@pytest.mark.parametrize("seed", list(SEEDS))
def test_of_mutated_files_only_our_errors_come_out_and_no_handle_stays(seed: str, tmp_path: Path) -> None:
    path = SEEDS[seed](tmp_path)
    if seed == "dicom":
        pytest.importorskip("wsidicom", exc_type=ImportError)
    (tmp_path / seed).mkdir()
    _fuzz(path, tmp_path / seed / f"{seed}{path.suffix}", open_slide, 20 if seed == "dicom" else 120)


@pytest.mark.parametrize("reader", ["tiffslide", "openslide"])
@pytest.mark.parametrize("seed", ADAPTED)
def test_of_mutated_files_through_other_peoples_readers_too(seed: str, reader: str, tmp_path: Path) -> None:
    pytest.importorskip(reader, exc_type=ImportError)
    path = SEEDS[seed](tmp_path)
    suffix = ".zvi" if reader == "openslide" else path.suffix  # a name under which OpenSlide takes plain TIFF, too
    _fuzz(path, tmp_path / f"{seed}-{reader}{suffix}", formats[reader].open, 30)


@pytest.mark.parametrize("name", REAL)
def test_of_mutated_real_slides_too(shared_data: Path, name: str, tmp_path: Path) -> None:
    path = shared_data / name
    _fuzz(path, tmp_path / f"mutated{path.suffix}", open_slide, 8)

"""Pictures whose pixels know their place, and files that hold them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

Picture = npt.NDArray[np.uint8]


def addresses(shape: tuple[int, int]) -> Picture:
    """A picture whose every pixel says where it lies: R = y, G = x (mod 256), B = what is above."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([y & 255, x & 255, (y >> 8) << 4 | (x >> 8)], axis=-1).astype(np.uint8)


def address_of(pixels: Picture) -> npt.NDArray[np.int64]:
    """The (…, 2) level-0 (y, x) that pixels of `addresses` claim."""
    wide = pixels.astype(np.int64)
    return np.stack([(wide[..., 2] >> 4) << 8 | wide[..., 0], (wide[..., 2] & 15) << 8 | wide[..., 1]], axis=-1)


def write_pyramid(path: Path, levels: list[Picture], tile: int = 64, **options: Any) -> Path:
    """A tiled TIFF as Aperio writes it (a thumbnail second), or plain reduced pages when it is no SVS."""
    aperio = path.suffix == ".svs"
    with tifffile.TiffWriter(path, bigtiff=bool(options.pop("bigtiff", False))) as tiff:
        for index, level in enumerate(levels):
            height, width = level.shape[:2]
            words = f"Aperio Image Library v12\n{width}x{height} |AppMag = 40|MPP = 0.2500" if aperio else None
            reduced = int(index > 0 and not aperio)
            settings = {"compression": "deflate", "description": words, "metadata": None, **options}
            tiff.write(level, tile=(tile, tile), photometric="rgb", subfiletype=reduced, **settings)
            if aperio and index == 0:
                tiff.write(level[::8, ::8], photometric="rgb", rowsperstrip=16, description=words, metadata=None)
    return path


def write_jpeg(path: Path, side: int = 256) -> Path:
    """A square slide of JPEG tiles of 64 px."""
    return write_pyramid(path, [addresses((side, side))], compression="jpeg")


def place_of_tile(path: Path, index: int) -> tuple[int, int]:
    """Where a tile of level 0 begins in the file, and its bytes."""
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages.first.dataoffsets[index], tiff.pages.first.databytecounts[index]


def overwrite_tile(path: Path, index: int, data: bytes) -> None:
    """Put other bytes where a tile of level 0 begins."""
    with path.open("r+b") as file:
        file.seek(place_of_tile(path, index)[0])
        file.write(data)

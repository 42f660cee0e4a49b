"""Slides with several focal planes, scenes or a colour profile, written for tests."""

import struct
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from addressed import addresses

PLANES = [addresses((200, 300)) // 2 + 40 * depth for depth in range(3)]
"""Three depths of one picture, the deeper the brighter."""
ADOBE_RGB = ((0.3127, 0.3290, 1.0), (0.64, 0.33, 1.0, 0.21, 0.71, 1.0, 0.15, 0.06, 1.0))
"""Adobe RGB (1998), 4.2.1: white point and primaries as (x, y, Y)."""


@cache
def a_profile() -> bytes:
    """An ICC profile whose colours differ from sRGB by much; made once, as it carries the second it was made in."""
    profile: bytes = imagecodecs.cms_profile("rgb", whitepoint=ADOBE_RGB[0], primaries=ADOBE_RGB[1], gamma=2.2)
    return profile


def write_ome_scenes(path: Path) -> Path:
    """An OME-TIFF of a macro image and two scenes of three planes and two levels, 0.5 and 0.75 µm/px, 1.5 µm apart."""
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for index, name in enumerate(("macro image", "Tissue A", "Tissue B")):
            stack = np.stack(PLANES)[:, : 200 - 20 * index] + np.uint8(index)
            step = 0.25 * (index + 1)
            sizes = {"PhysicalSizeX": step, "PhysicalSizeY": step, "PhysicalSizeZ": 1.5}
            told = {"axes": "ZYXS", "Name": name, **sizes}
            tiff.write(stack, subifds=1, tile=(64, 64), photometric="rgb", compression="deflate", metadata=told)
            tiff.write(stack[:, ::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb", compression="deflate")
    return path


def write_ndpi_stack(path: Path) -> Path:
    """Hamamatsu's layout (offsets of 64 bits in a classic TIFF): three planes at -2, 0 and 2 µm, uncompressed."""
    file = bytearray(b"II*\0" + bytes(8))
    link = 4
    for plane, depth_nm in zip(PLANES, (-2000, 0, 2000), strict=True):
        height, width = plane.shape[:2]
        pixels, name, bits = len(file), len(file) + plane.nbytes, len(file) + plane.nbytes + 10
        file += plane.tobytes() + b"Hamamatsu\0" + struct.pack("<3H", 8, 8, 8)
        short, long, text, real, signed = 3, 4, 2, 11, 9
        entries = [
            (256, long, 1, width), (257, long, 1, height), (258, short, 3, bits), (259, short, 1, 1),
            (262, short, 1, 2), (271, text, 10, name), (273, long, 1, pixels), (277, short, 1, 3),
            (278, long, 1, height), (279, long, 1, plane.nbytes), (65420, long, 1, 1),
            (65421, real, 1, int.from_bytes(struct.pack("<f", 20.0), "little")), (65424, signed, 1, depth_nm % 2**32),
        ]  # fmt: skip
        file[link : link + 8] = struct.pack("<Q", len(file))
        file += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        link = len(file)
        file += bytes(8) + bytes(4 * len(entries))
    path.write_bytes(file)
    return path


def write_svs_stack(path: Path) -> Path:
    """An Aperio slide of three planes and two levels, a thumbnail second."""
    words = "Aperio Image Library v12\n300x200 |AppMag = 40|MPP = 0.2500"
    options: dict[str, Any] = {"photometric": "rgb", "metadata": None, "description": words, "compression": "deflate"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(PLANES[0], tile=(64, 64), **options)
        tiff.write(PLANES[0][::8, ::8], rowsperstrip=16, **options)
        for plane in PLANES[1:]:
            tiff.write(plane, tile=(64, 64), **options)
        for plane in PLANES:
            tiff.write(plane[::4, ::4], tile=(64, 64), **options)
    return path


def write_scn(path: Path) -> Path:
    """A Leica collection: the glass as a whole, and two scanned regions of which the second is larger."""
    regions = [PLANES[0][:80, :100], PLANES[1][:150, :200], PLANES[2][:180, :250]]
    views = [(0, 0, 10_000, 20_000), (1000, 1000, 2000, 1500), (4000, 4000, 2500, 1800)]
    images = "".join(
        f'<image name="image_{index}"><pixels sizeX="{region.shape[1]}" sizeY="{region.shape[0]}">'
        f'<dimension sizeX="{region.shape[1]}" sizeY="{region.shape[0]}" r="0" ifd="{index}"/></pixels>'
        f'<view sizeX="{view[2]}" sizeY="{view[3]}" offsetX="{view[0]}" offsetY="{view[1]}"/></image>'
        for index, (region, view) in enumerate(zip(regions, views, strict=True))
    )
    words = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="Slide" sizeX="10000" sizeY="20000">{images}</collection></scn>'
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for index, region in enumerate(regions):
            tiff.write(
                region,
                tile=(64, 64),
                photometric="rgb",
                compression="deflate",
                metadata=None,
                description=words if index == 0 else None,
            )
    return path

"""PNG and JPEG pictures, read whole."""

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import simplejpeg

from napari_pathlupi.core.geometry import Level, SlideFrame
from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._bands import white_around
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.slides._colour import over_white
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._slide import Format, Picture, Slide, fingerprint_of

if TYPE_CHECKING:
    import dask.array as da


ORIENTATION = 274
DIRECTIONS = ((1, 1), (1, -1), (-1, -1), (-1, 1))
"""EXIF 2.3, tag Orientation 1 to 4: which way rows and columns run; 5 to 8 are the same of a transposed picture."""
PNG = b"\x89PNG\r\n\x1a\n"
"""PNG 5.2: how every file begins."""
MOST_PX = 1 << 28
"""Pixels of the largest picture that is held in memory: 800 MB (our choice)."""
MOST_BYTES = 4 * MOST_PX
"""No packed picture of so many pixels is longer, as RGB with transparency."""


class PictureSlide(Slide):
    """A slide that is one picture in memory.

    Parameters
    ----------
    path, fingerprint
        The file and its content's name.
    picture
        (height, width, 3) uint8.
    """

    def __init__(self, path: Path, picture: Picture, fingerprint: str) -> None:
        shape = picture.shape[0], picture.shape[1]
        super().__init__(path, SlideFrame(shape, None), [Level(shape, 1.0)], fingerprint, "picture")
        self._picture = picture

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        return white_around(
            lambda rows, columns: self._picture[rows, columns], self.frame.shape_px0, origin_px, shape_px, halvings
        )

    def pyramid(self) -> "list[da.Array]":
        return lazy_pyramid(self, 512)

    def close(self) -> None:
        """Nothing is held but memory."""


def open_picture(path: Path, choice: Choice = DEFAULT) -> PictureSlide:
    """Return a PNG or JPEG picture as a slide of one level, its scale unknown.

    Raises
    ------
    SlideError
        When the picture is damaged, not 8-bit grey or RGB, of more than `MOST_PX` pixels, or something else is chosen
        than its one plane as stored.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SlideError(
                f"{path.name} has {path.stat().st_size / 1e6:,.0f} MB, and at most {MOST_BYTES / 1e6:,.0f} are read at "
                "once: save it as a tiled TIFF."
            )
        data = path.read_bytes()
        is_png = path.suffix.lower() == ".png"
        height, width = _stated_size(data, is_png)
        if height * width > MOST_PX:
            raise SlideError(
                f"{path.name} has {width:,} × {height:,} px, and at most {MOST_PX / 1e6:.0f} million are held at "
                "once: save it as a tiled TIFF."
            )
        picture = imagecodecs.png_decode(data) if is_png else simplejpeg.decode_jpeg(data, "RGB")
    except (imagecodecs.PngError, ValueError, OSError) as error:
        raise SlideError(f"{path.name} cannot be decoded ({error}): copy it again.") from error
    if picture.dtype != np.uint8:
        raise SlideError(f"{path.name} has {picture.dtype} pixels: 8-bit RGB is what can be read.")
    if picture.ndim == 2 or picture.shape[2] < 3:
        picture = np.repeat(picture.reshape(*picture.shape[:2], -1)[..., :1], 3, axis=2)
    picture = over_white(picture) if picture.shape[2] == 4 else picture
    profile, orientation = _told_beside(data, is_png)
    slide = PictureSlide(path, np.ascontiguousarray(_upright(picture, orientation)), fingerprint_of(path))
    return slide.choose(choice, replace(slide.offer, icc_profile=profile))


def _told_beside(data: bytes, is_png: bool) -> tuple[bytes, int]:
    """The ICC profile of a picture, or nothing, and how it is turned (EXIF 2.3, tag 274), 1 for upright."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin

    kind = PngImagePlugin.PngImageFile if is_png else JpegImagePlugin.JpegImageFile
    try:
        told = kind(io.BytesIO(data)).info
        exif = Image.Exif()
        exif.load(told.get("exif", b""))
        orientation = exif.get(ORIENTATION, 1)
    except (SyntaxError, ValueError, OSError, struct.error, LookupError, TypeError):  # the pixels were decoded
        return b"", 1
    return told.get("icc_profile") or b"", orientation if orientation in range(1, 9) else 1


def _upright(picture: Picture, orientation: int) -> Picture:
    turned = picture.swapaxes(0, 1) if orientation > 4 else picture
    down, right = DIRECTIONS[(orientation - 1) % 4]
    return turned[::down, ::right]


def _stated_size(data: bytes, is_png: bool) -> tuple[int, int]:
    if not is_png:
        return simplejpeg.decode_jpeg_header(data)[:2]  # type: ignore[no-any-return]
    if not data.startswith(PNG):
        raise ValueError("it is no PNG picture")
    if len(data) < 24:
        raise ValueError("it ends in its header")
    width, height = struct.unpack_from(">II", data, 16)  # PNG 11.2.2: IHDR comes first
    return height, width


FORMAT = Format(suffixes=(".png", ".jpg", ".jpeg"), rank=10, open=open_picture, whole_only=True)

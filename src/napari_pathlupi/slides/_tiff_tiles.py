"""One level of a TIFF file: where its tiles lie and how they are decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import simplejpeg

from napari_pathlupi.errors import UnknownFormatError
from napari_pathlupi.slides._slide import WHITE, Picture, reduce_by_halving

JPEG = 7
"""TIFF Technical Note 2: Compression 7 is JPEG with abbreviated streams and shared JPEGTables."""
RGB, YCBCR = 2, 6
"""TIFF 6.0, tag 262 PhotometricInterpretation."""
PLAIN_ROWS = 256
"""Rows of an uncompressed picture that are read at once (our choice)."""
DCT_HALVINGS = 3
"""libjpeg decodes at 1/2, 1/4 and 1/8 in the DCT domain."""


def _adobe_marker(transform: int) -> bytes:
    # Adobe Technical Note 5116, APP14: transform 0 says RGB, 1 YCbCr; without it decoders guess YCbCr
    return b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])


@dataclass(frozen=True, slots=True, eq=False)
class TiledPage:
    """The tile index of one page (strips are tiles as wide as the picture).

    Parameters
    ----------
    shape_px, tile_px
        Height and width of the page and of a tile.
    offsets, counts
        Where each tile lies in the file, in reading order.
    columns
        Tiles in a row.
    page
        tifffile's page.
    decode_segment
        What decodes a segment that is not plain JPEG.
    jpeg_head
        What goes before a tile's own stream, or None when tifffile decodes.
    """

    shape_px: tuple[int, int]
    tile_px: tuple[int, int]
    offsets: Sequence[int]
    counts: Sequence[int]
    columns: int
    page: Any
    decode_segment: Callable[..., Any]
    jpeg_head: bytes | None

    @classmethod
    def of(cls, page: Any, name: str) -> Self:
        """Return the index of a tifffile page.

        Raises
        ------
        UnknownFormatError
            When its pixels are not 8-bit grey or RGB, interleaved.
        """
        height, width = int(page.imagelength), int(page.imagewidth)
        if page.dtype != np.uint8 or page.samplesperpixel not in (1, 3, 4) or len(page.chunked) > 3:
            raise UnknownFormatError(
                f"{name} holds {page.samplesperpixel} channels of {page.dtype}: 8-bit RGB is what can be read"
            )
        if page.samplesperpixel > 1 and page.planarconfig != 1:
            raise UnknownFormatError(f"{name} stores its colours as separate planes")
        tile = int(page.chunks[0]), int(page.chunks[1])
        if min(height, width, *tile) < 1:
            raise UnknownFormatError(f"{name} states a size of {width} × {height} px in tiles of {tile[1]} × {tile[0]}")
        columns = -(-width // tile[1])
        offsets, counts = page.dataoffsets, page.databytecounts
        decode = page.decode
        if page.is_memmappable:  # one block of plain rows, however many strips it is cut into
            tile, row = (min(PLAIN_ROWS, height), width), width * page.samplesperpixel
            rows = range(0, height, tile[0])
            offsets = [page.dataoffsets[0] + first * row for first in rows]
            counts = [min(tile[0], height - first) * row for first in rows]
            decode = partial(_plain_rows, (-1, width, page.samplesperpixel))
        if len(offsets) < columns * -(-height // tile[0]) or len(offsets) != len(counts):
            raise UnknownFormatError(f"{name} lists {len(offsets)} tiles, fewer than its size needs")
        return cls((height, width), tile, offsets, counts, columns, page, decode, _jpeg_head(page))

    @property
    def square(self) -> bool:
        """Whether these are tiles, not strips."""
        return self.tile_px[0] == self.tile_px[1]

    @property
    def end(self) -> int:
        """Where the last tile ends in the file."""
        return max((o + c for o, c in zip(self.offsets, self.counts, strict=True)), default=0)

    @property
    def most_halvings(self) -> int:
        """How often a tile can be halved into whole pixels, up to what libjpeg does while decoding."""
        sides = self.tile_px if self.columns > 1 else self.tile_px[:1]  # a lone column may end anywhere
        return next(h for h in range(DCT_HALVINGS, -1, -1) if h == 0 or all(side % 2**h == 0 for side in sides))

    def position(self, row: int, column: int) -> tuple[int, int]:
        """Return offset and number of bytes of a tile; 0 bytes for one that is left out."""
        index = row * self.columns + column
        return int(self.offsets[index]), int(self.counts[index])

    def decode(self, data: bytes, row: int, column: int, halvings: int) -> Picture:
        """Return a tile, its sides divided by ``2 ** halvings``."""
        height, width = self.tile_px[0] >> halvings, self.tile_px[1] >> halvings
        if self.jpeg_head is not None:
            picture: Picture = simplejpeg.decode_jpeg(
                self.jpeg_head + data[2:], "RGB", min_height=height, min_width=width, min_factor=1
            )
            if picture.shape[:2] == (height, width):
                return picture
        return reduce_by_halving(self._decode_by_tifffile(data, row * self.columns + column), halvings)

    def _decode_by_tifffile(self, data: bytes, index: int) -> Picture:
        page = self.page
        if page.compression == JPEG:
            decoded, *_ = self.decode_segment(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        else:
            decoded, *_ = self.decode_segment(data, index)
        pixels = decoded.reshape(decoded.shape[-3:])[..., :3]
        tile = np.full((*self.tile_px, 3), WHITE, np.uint8)
        tile[: pixels.shape[0], : pixels.shape[1]] = pixels  # a last strip is shorter; grey is repeated
        return tile


def _plain_rows(shape: tuple[int, int, int], data: bytes, index: int, **_: Any) -> tuple[Picture]:
    return (np.frombuffer(data, np.uint8).reshape(shape),)


def _jpeg_head(page: Any) -> bytes | None:
    if page.compression != JPEG or page.jpegheader is not None or page.samplesperpixel != 3:
        return None
    if page.photometric not in (RGB, YCBCR):
        return None
    tables = page.jpegtables or b"\xff\xd8\xff\xd9"
    return b"\xff\xd8" + _adobe_marker(0 if page.photometric == RGB else 1) + tables[2:-2]

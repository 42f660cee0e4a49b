"""One level of a TIFF file: where its tiles lie and how they are decoded."""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import simplejpeg

from napari_pathlupi.errors import SlideError, UnknownFormatError
from napari_pathlupi.slides._bands import reduce_by_halving
from napari_pathlupi.slides._colour import over_white
from napari_pathlupi.slides._lzw import LIBTIFF, Strip
from napari_pathlupi.slides._memory import MEMORY
from napari_pathlupi.slides._slide import WHITE, Picture
from napari_pathlupi.slides._ycbcr import rgb_of

JPEG = 7
"""TIFF Technical Note 2: Compression 7 is JPEG with abbreviated streams and shared JPEGTables."""
APERIO_YCBCR, JPEG_2000 = 33003, (33003, 33005, 34712)
"""Aperio "Digital Slides and Third-Party Data Interchange", 2008: 33003 is JPEG 2000 of YCbCr, 33005 of RGB."""
BOUNDED = {1, 5, 8, 32773, 32946, 34925, 50000, JPEG, *JPEG_2000}
"""Compressions whose decoded size is known or bounded before decoding: a small file cannot fill the memory."""
GREY, RGB, YCBCR = 1, 2, 6
"""TIFF 6.0, tag 262 PhotometricInterpretation."""
MULTIPLIED, APART = 1, 2
"""TIFF 6.0, tag 338 ExtraSamples: associated alpha, whose colours are multiplied by it, and unassociated alpha."""
PLAIN_ROWS, PLAIN_BYTES = 256, 64 * 1024 * 1024
"""Rows of an uncompressed picture that are read at once, and their bytes at most (our choice)."""
MOST_TILE_PX = 1 << 27
"""Pixels of the largest tile or strip that is decoded: 400 MB (our choice)."""
SHARED = 0.01
"""Share of a page's tiles that have the same length when it is a glass tile's (our choice): of tissue, few agree."""
LONGEST_SHARED = 1 << 18
"""Bytes of the longest tile that may be a glass tile (our choice)."""
DCT_HALVINGS = 3
"""libjpeg decodes at 1/2, 1/4 and 1/8 in the DCT domain."""
MISSING = -1
"""Count of a tile that lies outside the file or was found undecodable; 0 is one that a sparse file leaves out."""
Places = npt.NDArray[np.int64]


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
        (rows, columns) where each tile lies in the file and how many bytes it has, 0 or `MISSING`.
    tiled
        Whether these are tiles; a last strip is shorter, a last tile is not.
    compression
        TIFF tag 259.
    decode_segment
        (bytes, index) to pixels, for what is not plain JPEG.
    alpha
        Kind of the fourth sample, TIFF 6.0 tag 338: `MULTIPLIED` or `APART` is opacity, anything else is left aside.
    jpeg_head
        What goes before a tile's own stream, or None when tifffile decodes.
    whole_jpeg
        Whether each tile is a JPEG stream with a header of its own.
    frequent
        Lengths that many tiles share, as those of the same glass do: only these are looked at for being identical.
    """

    shape_px: tuple[int, int]
    tile_px: tuple[int, int]
    offsets: Places
    counts: Places
    tiled: bool
    compression: int
    decode_segment: Callable[[bytes, int], Any]
    jpeg_head: bytes | None
    whole_jpeg: bool
    frequent: frozenset[int]
    alpha: int = 0

    @classmethod
    def of(cls, page: Any, name: str) -> Self:
        """Return the index of a tifffile page.

        Raises
        ------
        UnknownFormatError
            When its pixels are not 8-bit grey or RGB, interleaved, in a compression of `BOUNDED`.
        SlideError
            When its sizes cannot be.
        """
        height, width = int(page.imagelength), int(page.imagewidth)
        _must_be_readable(page, name)
        tile = int(page.chunks[0]), int(page.chunks[1])
        if min(height, width, *tile) < 1:
            raise SlideError(f"{name} states a size of {width} × {height} px in tiles of {tile[1]} × {tile[0]}.")
        plain = bool(page.is_final)  # one block of plain rows, however many strips it is cut into
        if plain:
            tile, offsets, counts = _rows_of(int(page.dataoffsets[0]), height, width * page.samplesperpixel)
            tile = tile[0], width
            decode: Callable[[bytes, int], Any] = partial(_plain_rows, (-1, width, page.samplesperpixel))
        else:
            offsets, counts = (_as_places(places) for places in (page.dataoffsets, page.databytecounts))
            decode = _segment_decoder(page)
        grid = -(-height // tile[0]), -(-width // tile[1])
        cells = grid[0] * grid[1]
        _must_be_tiles(tile, cells, (len(offsets), len(counts)), name)
        whole_jpeg = page.compression == JPEG and page.jpegheader is None
        return cls(
            (height, width),
            tile,
            offsets[:cells].reshape(grid),
            counts[:cells].reshape(grid),
            bool(page.is_tiled),
            int(page.compression),
            decode,
            _jpeg_head(page) if whole_jpeg else None,
            whole_jpeg,
            _frequent(counts[:cells]),
            int(page.extrasamples[0]) if page.samplesperpixel == 4 and page.extrasamples else 0,
        )

    @property
    def square(self) -> bool:
        """Whether these are tiles, not strips."""
        return self.tile_px[0] == self.tile_px[1]

    @property
    def most_halvings(self) -> int:
        """How often a tile can be halved into whole pixels, up to what libjpeg does while decoding."""
        sides = self.tile_px if self.counts.shape[1] > 1 else self.tile_px[:1]  # a lone column may end anywhere
        return next(h for h in range(DCT_HALVINGS, -1, -1) if h == 0 or all(side % 2**h == 0 for side in sides))

    def mark_what_lies_outside(self, size: int) -> float:
        """Mark the tiles that do not lie within ``size`` bytes as missing; return their share of all bytes."""
        outside = (self.counts > 0) & ((self.offsets < 8) | (self.offsets + self.counts > size))
        total = int(self.counts.sum())
        share = int(self.counts[outside].sum()) / total if total else 0.0
        self.counts[outside] = MISSING
        return share

    def stored_px(self, row: int) -> tuple[int, int]:
        """Height and width that a tile of this row holds: a last strip is shorter."""
        if self.tiled:
            return self.tile_px
        return min(self.tile_px[0], self.shape_px[0] - row * self.tile_px[0]), self.tile_px[1]

    def decode(self, data: bytes, row: int, column: int, halvings: int) -> Picture:
        """Return a tile, its sides divided by ``2 ** halvings``; ValueError when it is of another size."""
        if self.jpeg_head is not None:
            stream = self.jpeg_head + data[2:]
            shape = simplejpeg.decode_jpeg_header(stream)[:2]
            self._must_fit(shape, row)
            if shape == self.tile_px and not any(side % 2**halvings for side in shape):
                height, width = shape[0] >> halvings, shape[1] >> halvings
                place = MEMORY.empty((height, width, 3))
                picture: Picture = simplejpeg.decode_jpeg(stream, "RGB", False, False, height, width, 1, place)
                return picture
        elif self.whole_jpeg:
            self._must_fit(simplejpeg.decode_jpeg_header(data)[:2], row)
        elif self.compression in JPEG_2000:
            self._must_fit(_jpeg_2000_shape(data), row)
        return reduce_by_halving(self._decode_whole(data, row, column), halvings)

    def _must_fit(self, shape: tuple[int, int], row: int) -> None:
        if tuple(shape) not in (self.stored_px(row), self.tile_px):
            raise ValueError(f"it holds {shape[1]} × {shape[0]} px where {self.tile_px[1]} × {self.tile_px[0]} belong")

    def _decode_whole(self, data: bytes, row: int, column: int) -> Picture:
        decoded, *_ = self.decode_segment(data, row * self.counts.shape[1] + column)
        pixels = decoded.reshape(decoded.shape[-3:])
        opaque = self.alpha not in (MULTIPLIED, APART) or pixels.shape[2] != 4
        pixels = pixels[..., :3] if opaque else over_white(pixels, self.alpha == MULTIPLIED)
        self._must_fit(pixels.shape[:2], row)
        if self.compression == APERIO_YCBCR:
            pixels = rgb_of(pixels)
        tile = MEMORY.empty((*self.tile_px, 3))
        tile[: pixels.shape[0]] = pixels  # a last strip is shorter; grey is repeated
        tile[pixels.shape[0] :] = WHITE
        return tile


def _must_be_readable(page: Any, name: str) -> None:
    samples, colours = page.samplesperpixel, int(page.photometric)
    if page.dtype != np.uint8 or samples not in (1, 3, 4) or page.imagedepth != 1 or len(page.chunked) > 3:
        raise UnknownFormatError(f"{name} holds {samples} channels of {page.dtype}: 8-bit RGB is what can be read")
    if samples > 1 and page.planarconfig != 1:
        raise UnknownFormatError(f"{name} stores its colours as separate planes")
    if page.compression not in BOUNDED:
        raise UnknownFormatError(f"{name} is compressed by method {int(page.compression)}, which is not read here")
    told = page.compression == JPEG or page.compression in JPEG_2000  # these say themselves what they hold
    if colours not in ((GREY,) if samples == 1 else (RGB, YCBCR) if told else (RGB,)):
        raise UnknownFormatError(f"{name} has colours of kind {colours}: grey or RGB is what can be read")


def _must_be_tiles(tile: tuple[int, int], cells: int, listed: tuple[int, int], name: str) -> None:
    if tile[0] * tile[1] > MOST_TILE_PX:
        raise SlideError(
            f"{name} is cut into tiles of {tile[1]} × {tile[0]} px: at most {MOST_TILE_PX / 1e6:.0f} million "
            "pixels can be decoded at once; write it with smaller tiles."
        )
    if listed[0] < cells or listed[0] != listed[1]:
        raise SlideError(f"{name} lists {listed[0]} tiles where its size needs {cells}: copy it again.")


def _as_places(places: Any) -> Places:
    return np.minimum(np.asarray(places, np.uint64), np.uint64(1 << 61)).astype(np.int64)


def _frequent(counts: Places) -> frozenset[int]:
    times = np.bincount(np.clip(counts, 0, LONGEST_SHARED + 1))[1 : LONGEST_SHARED + 1]
    return frozenset((np.flatnonzero(times > max(1.0, SHARED * counts.size)) + 1).tolist())


def _rows_of(start: int, height: int, row_bytes: int) -> tuple[tuple[int, int], Places, Places]:
    rows = max(1, min(PLAIN_ROWS, height, PLAIN_BYTES // max(1, row_bytes)))
    first = np.arange(0, height, rows, dtype=np.int64)
    return (rows, row_bytes), start + first * row_bytes, np.minimum(rows, height - first) * row_bytes


def _plain_rows(shape: tuple[int, int, int], data: bytes, index: int) -> tuple[Picture]:
    return (np.frombuffer(data, np.uint8).reshape(shape),)


def _segment_decoder(page: Any) -> Callable[[bytes, int], Any]:
    if page.compression == JPEG:
        return partial(page.decode, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
    decode: Callable[[bytes, int], Any] = page.decode
    if page.compression in LIBTIFF:
        strip = Strip(
            int(page.chunks[1]), page.samplesperpixel, page.compression, int(page.predictor), int(page.fillorder)
        )
        shape, per_row = (int(page.imagelength), int(page.chunks[0])), -(-int(page.imagewidth) // int(page.chunks[1]))
        return partial(_through_libtiff, strip, shape, per_row, bool(page.is_tiled))
    return decode


def _through_libtiff(
    strip: Strip, lengths: tuple[int, int], per_row: int, tiled: bool, data: bytes, index: int
) -> tuple[Picture]:
    whole, tile = lengths
    return (strip.decode(data, tile if tiled else min(tile, whole - index // per_row * tile)),)


def _jpeg_head(page: Any) -> bytes | None:
    if page.samplesperpixel != 3:
        return None
    tables = page.jpegtables or b"\xff\xd8\xff\xd9"
    return b"\xff\xd8" + _adobe_marker(0 if page.photometric == RGB else 1) + tables[2:-2]


def pixels_told_by(compression: int, data: bytes) -> int | None:
    """Return how many pixels a packed tile says it holds, or None where its kind does not say."""
    if compression == JPEG:
        return int(math.prod(simplejpeg.decode_jpeg_header(data)[:2]))
    return math.prod(_jpeg_2000_shape(data)) if compression in JPEG_2000 else None


def _jpeg_2000_shape(data: bytes) -> tuple[int, int]:
    # ISO/IEC 15444-1, A.5.1: SOC, SIZ, Lsiz, Rsiz, then Xsiz, Ysiz, XOsiz, YOsiz of four bytes each
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 24:
        raise ValueError("it is no JPEG 2000 picture")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    return bottom - top, right - left

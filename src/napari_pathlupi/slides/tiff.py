"""TIFF files: Aperio SVS, Hamamatsu NDPI, OME-TIFF, generic tiled and flat TIFF.

The index is parsed once by tifffile; afterwards each tile is one positioned read and one decode, from any thread.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import tifffile

from napari_pathlupi.core.geometry import Level, SlideFrame, downsample_of
from napari_pathlupi.errors import DamagedTileError, SlideError, UnknownFormatError
from napari_pathlupi.slides._bands import halved_in_bands
from napari_pathlupi.slides._cache import TILES
from napari_pathlupi.slides._choice import DEFAULT, Choice
from napari_pathlupi.slides._clock import READING
from napari_pathlupi.slides._halving import GOOD_DB, agreement_db, typical_tiles
from napari_pathlupi.slides._hatch import StandIn, hatch, white
from napari_pathlupi.slides._memory import MEMORY
from napari_pathlupi.slides._pyramid import lazy_pyramid
from napari_pathlupi.slides._remote import RemoteSource
from napari_pathlupi.slides._slide import WHITE, Format, Picture, Slide
from napari_pathlupi.slides._source import LocalSource, Source
from napari_pathlupi.slides._tiff_metadata import TIFF_FAULTS, must_not_overlap, vendor_of
from napari_pathlupi.slides._tiff_series import chosen_pages
from napari_pathlupi.slides._tiff_tiles import MISSING, TiledPage
from napari_pathlupi.slides._url import SlideUrl

if TYPE_CHECKING:
    import dask.array as da


class TiffSlide(Slide):
    """A slide in a TIFF file; `open_tiff` makes one."""

    def __init__(
        self, path: Path | SlideUrl, pages: list[TiledPage], frame: SlideFrame, source: Source, vendor: str
    ) -> None:
        shapes = [page.shape_px for page in pages]
        levels = [Level(shape, downsample_of(shapes[0], shape)) for shape in shapes]
        super().__init__(path, frame, levels, source.fingerprint, vendor)
        self._pages = pages
        self._bearing: dict[tuple[int, int, float], bool] = {}
        self._source = source
        self._keeps = True

    @property
    def missing_tiles(self) -> int:
        return sum(int((page.counts == MISSING).sum()) for page in self._pages)

    def lenient(self, stand_in: StandIn = white) -> Self:
        return self._but(_stand_in=stand_in)

    def passing(self) -> Self:
        return self._but(_keeps=False)

    def _but(self, **other_state: object) -> Self:
        other = object.__new__(type(self))  # not copy.copy, which would open the file again
        other.__dict__.update(self.__dict__, **other_state)
        return other

    def read_level(
        self, level: int, origin_px: tuple[int, int], shape_px: tuple[int, int], halvings: int = 0
    ) -> Picture:
        own = min(halvings, self._pages[level].most_halvings)
        return halved_in_bands(
            lambda origin, shape: self._assemble(level, origin, shape, own), origin_px, shape_px, halvings - own
        )

    def tile_px_of(self, level: int) -> tuple[int, int] | None:
        return self._pages[level].tile_px

    def bears_halving(self, level: int, halvings: int, ratio: float) -> bool:
        page = self._pages[level]
        if page.jpeg_head is None or halvings > page.most_halvings:  # only libjpeg halves for less than a whole decode
            return False
        key = level, halvings, round(ratio, 3)
        if key not in self._bearing:
            self._bearing[key] = agreement_db(self._whole_and_halved(level, halvings), halvings, ratio) >= GOOD_DB
        return self._bearing[key]

    def _whole_and_halved(self, level: int, halvings: int) -> Iterator[tuple[Picture, Picture]]:
        for cell in typical_tiles(self._pages[level].counts):
            try:
                yield self._tile(level, *cell, 0), self._tile(level, *cell, halvings)
            except DamagedTileError:  # told where it is asked for
                continue

    def _assemble(self, level: int, origin: tuple[int, int], shape: tuple[int, int], halvings: int) -> Picture:
        page = self._pages[level]
        picture = MEMORY.empty((*shape, 3))
        rows, columns = (
            _cells(*axis, halvings) for axis in zip(origin, shape, page.tile_px, page.shape_px, strict=True)
        )
        if not (_cover(rows, shape[0]) and _cover(columns, shape[1])):
            picture.fill(WHITE)
        whole = slice(0, page.tile_px[0] >> halvings), slice(0, page.tile_px[1] >> halvings)
        for row, high, source_high in rows:
            for column, wide, source_wide in columns:
                if page.counts[row, column]:
                    keep = self._keeps or (source_high, source_wide) != whole  # a neighbour may want the rest
                    picture[high, wide] = self._shown(level, row, column, halvings, keep)[source_high, source_wide]
                else:  # a sparse file leaves it out
                    picture[high, wide] = WHITE
        return picture

    def _shown(self, level: int, row: int, column: int, halvings: int, keep: bool) -> Picture:
        try:
            return self._tile(level, row, column, halvings, keep)
        except DamagedTileError:
            if self._stand_in is None:
                raise
            tile_px = self._pages[level].tile_px
            return self._stand_in((row * tile_px[0], column * tile_px[1]), tile_px, halvings)

    def _tile(self, level: int, row: int, column: int, halvings: int, keep: bool = True) -> Picture:
        page = self._pages[level]
        offset, count = int(page.offsets[row, column]), int(page.counts[row, column])
        if count == MISSING:
            raise self._damaged(level, row, column, "it was found damaged, or lies outside the file")
        if count not in page.frequent:
            if not keep:
                return self._decode(self._bytes(offset, count), level, row, column, halvings)
            return TILES.get(
                (self.opening, level, row, column, halvings),
                lambda: self._decode(self._bytes(offset, count), level, row, column, halvings),
            )
        data = self._bytes(offset, count)  # what has often this length is often the same glass
        digest = hashlib.sha256(data).digest()
        key = self.opening, level, page.stored_px(row), halvings, digest
        return TILES.get(key, lambda: self._decode(data, level, row, column, halvings))

    def _bytes(self, offset: int, count: int) -> bytes:
        begun = perf_counter()
        data = self._source.read(offset, count)
        READING.seconds += perf_counter() - begun
        return data

    def _decode(self, data: bytes, level: int, row: int, column: int, halvings: int) -> Picture:
        page = self._pages[level]
        try:
            return self.coloured(page.decode(data, row, column, halvings))
        except TIFF_FAULTS as error:
            page.counts[row, column] = MISSING
            raise self._damaged(level, row, column, str(error)) from error

    def _damaged(self, level: int, row: int, column: int, words: str) -> DamagedTileError:
        return DamagedTileError(
            f"{self.path.name}: tile ({row}, {column}) of level {level} cannot be decoded "
            f"({words.splitlines()[0] if words else 'damaged'}): the file is damaged, copy it again."
        )

    def pyramid(self) -> "list[da.Array]":
        return lazy_pyramid(self.lenient(hatch), max(self._pages[0].tile_px) if self._pages[0].square else 512)

    def close(self) -> None:
        self._source.close()


Cells = list[tuple[int, slice, slice]]
"""Along one axis, the number of each cell, where it goes in the picture, and which part of it."""


def _cells(start: int, count: int, tile: int, whole: int, halvings: int) -> Cells:
    side, first, last = tile >> halvings, max(start, 0), min(start + count, whole >> halvings)
    cells = []
    for number in range(first // side, -(-last // side)) if last > first else ():
        low, high = max(number * side, first), min((number + 1) * side, last)
        cells.append((number, slice(low - start, high - start), slice(low - number * side, high - number * side)))
    return cells


def _cover(cells: Cells, count: int) -> bool:
    return bool(cells) and cells[0][1].start == 0 and cells[-1][1].stop == count


MOST_MISSING = 0.5
"""Share of a level's bytes that may lie outside the file: beyond it the file was cut short (our choice)."""
MOST_PAGES = 2000
"""Pages of a file that is read as a slide (our choice): an index that goes in circles has no end."""


def open_tiff(path: Path | SlideUrl, choice: Choice = DEFAULT) -> TiffSlide:
    """Return what is chosen of a TIFF file.

    Tiles that lie outside the file are missing: counted, and an error only where they are read. A reduced level of
    which more than half is missing is left out.

    Raises
    ------
    UnknownFormatError
        When it is no TIFF file, or of a kind that this reader leaves to another.
    SlideError
        When its index is damaged, more than half of level 0 lies outside the file, it cannot be read at all, or what is
        chosen is not there.
    """
    try:
        source = RemoteSource(path) if isinstance(path, SlideUrl) else LocalSource(path)
        with source.file() as file, tifffile.TiffFile(file, name=path.name) as tiff:
            _must_begin(tiff, source.size)
            _must_end(tiff)
            must_not_overlap(tiff, path.name)
            stored, mpp, offer = chosen_pages(tiff, choice, path.name)
            pages = [TiledPage.of(page, path.name) for page in stored]
            vendor = vendor_of(tiff)
        slide = TiffSlide(path, _present(pages, source), SlideFrame(pages[0].shape_px, mpp), source, vendor)
        return slide.choose(choice, offer)
    except PermissionError as error:
        raise SlideError(f"{path} cannot be opened ({error.strerror}): check your rights.") from error
    except TIFF_FAULTS as error:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnknownFormatError(f"{path.name} is no TIFF file that can be read ({words})") from error


def _must_begin(tiff: Any, size: int) -> None:
    tiff.filehandle.seek(8 if tiff.is_bigtiff else 4)
    (first,) = struct.unpack(tiff.tiff.offsetformat, tiff.filehandle.read(tiff.tiff.offsetsize))
    if first >= size:
        raise SlideError(f"{tiff.filename} ends before its index, after {size / 1e6:,.1f} MB: copy it again.")


def _must_end(tiff: Any) -> None:
    tiff.pages.cache = True  # what is read here is not read again below
    offsets: set[int] = set()
    for index in range(MOST_PAGES):
        try:
            page = tiff.pages[index]
        except IndexError:
            return
        if page.offset in offsets:
            break
        offsets.add(page.offset)
    raise SlideError(
        f"the index of {tiff.filename} goes in circles or lists more than {MOST_PAGES} pages: copy it again."
    )


def _present(pages: list[TiledPage], source: Source) -> list[TiledPage]:
    shares = [page.mark_what_lies_outside(source.size) for page in pages]
    if shares[0] > MOST_MISSING:
        raise SlideError(
            f"{source.name} ends in the middle of level 0 ({100 * shares[0]:.0f} % of it lies beyond its "
            f"{source.size / 1e6:,.1f} MB): copy it again."
        )
    return [page for page, share in zip(pages, shares, strict=True) if share <= MOST_MISSING]


_open: Callable[[Any, Choice], Slide] = open_tiff
FORMAT = Format(
    suffixes=(".svs", ".ndpi", ".tif", ".tiff", ".btf", ".tf8", ".scn", ".bif", ".qptiff", ".ptif"),
    rank=10,
    open=_open,
    remote=True,
)

"""A slide as lazy arrays, every octave from level 0 down to a thumbnail.

A view of a slide is many small tiles, and a Dask task for each would take longer than decoding it. So an octave is a
Dask array like any other, with a graph for whoever computes on it, but a rectangle of it that is turned into NumPy, as
napari does to paint, is read at once, by a few threads, past the graph.
"""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SlideError
from napari_pathlupi.slides._fork import forget_in_a_child
from napari_pathlupi.slides._hatch import hatch
from napari_pathlupi.slides._memory import MEMORY

if TYPE_CHECKING:
    import dask.array as da

    from napari_pathlupi.slides._slide import Slide

Picture = npt.NDArray[np.uint8]

COARSEST_PX = 1024
"""The pyramid goes on until its longer side is no larger: napari reads its coarsest level whole."""
CHUNK_PX = 256
"""Side of a chunk, about. napari fetches whole chunks, so this is also the margin that it reads ahead: a larger one
makes each jump slower, a smaller one reads again sooner while panning (our choice)."""
PAINTERS = min(4, os.cpu_count() or 1)
"""Threads that read one view (our choice): more would take the cores from the window and from inference."""


class OctaveView:
    """A rectangle of one octave of a slide as an array: indexing it with slices reads exactly those pixels.

    Parameters
    ----------
    slide
        The slide.
    level, halvings
        Stored level and how often it is halved.
    rows, columns
        First and last of the octave's pixels, and one past them; None is all.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(
        self,
        slide: "Slide",
        level: int,
        halvings: int,
        rows: tuple[int, int] | None = None,
        columns: tuple[int, int] | None = None,
    ) -> None:
        self.slide, self.level, self.halvings = slide, level, halvings
        height, width = slide.levels[level].shape_px
        self.rows, self.columns = rows or (0, height >> halvings), columns or (0, width >> halvings)
        self.shape = (self.rows[1] - self.rows[0], self.columns[1] - self.columns[0], 3)

    @property
    def name(self) -> str:
        """What tells it from every other view, for Dask."""
        place = "-".join(map(str, (self.level, self.halvings, *self.rows, *self.columns)))
        return f"slide-{self.slide.fingerprint}-{self.slide.opening}-{place}"

    def part(self, rows: slice, columns: slice) -> "OctaveView":
        """Return a rectangle of this one."""
        (top, bottom, _), (left, right, _) = rows.indices(self.shape[0]), columns.indices(self.shape[1])
        ends = max(top, bottom) + self.rows[0], max(left, right) + self.columns[0]
        return OctaveView(
            self.slide,
            self.level,
            self.halvings,
            (self.rows[0] + top, ends[0]),
            (self.columns[0] + left, ends[1]),
        )

    def __getitem__(self, key: Any) -> Picture:
        return self.part(key[0], key[1]).read()

    def read(self) -> Picture:
        """Return the pixels."""
        origin = self.rows[0], self.columns[0]
        return self.slide.read_level(self.level, origin, self.shape[:2], self.halvings)

    def read_by_several(self, band_px: int) -> Picture:
        """Return the pixels, read by `PAINTERS` threads in bands that end where tiles do."""
        first = self.rows[0] // band_px
        count = -(-self.rows[1] // band_px) - first
        if PAINTERS == 1 or count < 2:
            return self.read()
        share = -(-count // min(PAINTERS, count)) * band_px
        starts = range(first * band_px, self.rows[1], share)
        bounds = [(max(start, self.rows[0]), min(start + share, self.rows[1])) for start in starts]
        picture = MEMORY.empty(self.shape)

        def read(bound: tuple[int, int]) -> None:
            rows = slice(bound[0] - self.rows[0], bound[1] - self.rows[0])
            picture[rows] = self[rows, :]

        for _ in _painters().map(read, bounds):
            pass
        return picture


@cache
def _painters() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(PAINTERS, thread_name_prefix="pathlupi-paint")


forget_in_a_child(_painters.cache_clear)  # which has none of the threads


@cache
def _octave_type() -> type["da.Array"]:
    """The class of the arrays, made late because Dask takes long to import."""
    import dask.array as da

    class LazyOctave(da.Array):  # type: ignore[misc]
        """A Dask array of one octave; rectangles of it stay so, and become NumPy past the graph."""

        __slots__ = ()

        def __getitem__(self, index: Any) -> "da.Array":
            view, chunk = self.source
            key = index if isinstance(index, tuple) else (index,)
            plain = len(key) <= 3 and all(isinstance(k, slice) and k.step in (None, 1) for k in key)
            if not plain or self.name != view.name:  # Dask renames an array whose items were set
                return super().__getitem__(index)
            rows, columns, colours = key + (slice(None),) * (3 - len(key))
            if colours.indices(3) != (0, 3, 1):
                return super().__getitem__(index)
            part = view.part(rows, columns)
            return self if part.shape == view.shape else _lazy(part, chunk)

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
            view, chunk = self.source
            if self.name != view.name:
                return np.asarray(super().__array__(), dtype=dtype)
            return np.asarray(_painted(view, chunk), dtype=dtype)

    return LazyOctave


def _painted(view: OctaveView, chunk: int) -> Picture:
    """The pixels, or a hatch and a warning while they cannot be had: an error in the midst of painting is nobody's."""
    try:
        return view.read_by_several(chunk)
    except SlideError as error:
        warnings.warn(f"{error} Until then it is hatched in the view.", stacklevel=2)
        return hatch((view.rows[0], view.columns[0]), view.shape[:2], 0)


def _lazy(view: OctaveView, chunk: int) -> "da.Array":
    """The view as a Dask array whose chunks lie on the grid of the whole octave."""
    import dask.array as da

    cuts = [_cuts(low, high, chunk) for low, high in (view.rows, view.columns)]
    array = da.from_array(
        view,
        chunks=(*cuts, (3,)),
        name=view.name,
        meta=np.empty((0, 0, 0), np.uint8),
        inline_array=True,
        asarray=False,
        fancy=False,
    )
    octave = _octave_type()(array.dask, array.name, array.chunks, meta=array._meta)
    octave.source = view, chunk
    return octave


def _cuts(low: int, high: int, chunk: int) -> tuple[int, ...]:
    edges = [low, *range((low // chunk + 1) * chunk, high, chunk), high]
    return tuple(b - a for a, b in pairwise(edges))


def octaves(slide: "Slide") -> list[tuple[int, int]]:
    """Return (level, halvings) from fine to coarse: each stored level, and what is missing between and below."""
    steps = []
    for index, level in enumerate(slide.levels):
        coarser = slide.levels[index + 1].downsample if index + 1 < len(slide.levels) else float("inf")
        halvings = 0
        while level.downsample * 2**halvings * 1.5 <= coarser:
            shape = [side >> halvings for side in level.shape_px]
            if min(shape) < 1:
                break
            steps.append((index, halvings))
            if coarser == float("inf") and max(shape) <= COARSEST_PX:
                break
            halvings += 1
    return steps


def lazy_pyramid(slide: "Slide", tile_px: int) -> "list[da.Array]":
    """Return the octaves as Dask arrays (height, width, 3) uint8, finest first; chunks hold whole stored tiles."""
    chunk = tile_px * max(1, round(CHUNK_PX / tile_px))
    return [_lazy(OctaveView(slide, level, halvings), chunk) for level, halvings in octaves(slide)]

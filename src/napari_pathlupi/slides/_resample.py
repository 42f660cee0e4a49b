"""Averaging pixels over exact areas."""

import itertools
import math
import threading
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from napari_pathlupi.slides._memory import MEMORY

Picture = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]

SIDE = 4
"""Pixels of the answer that one product of matrices makes: the fastest of 2 to 32 where measured."""
CHUNK_PX = 256
"""Side of what is made at once: over more, evenly spaced blocks drift too far from their pixels (our choice)."""
KEPT = 256
"""Sets of weights that are remembered: the columns of a grid of tiles over a large slide, below 20 MB (our choice)."""

ROOM_BYTES = 8 * 1024**2
"""Most that a thread keeps of each kind of memory between two calls (our choice)."""
_ROOMS = threading.local()


def halve(picture: Picture) -> Picture:
    """Return the mean of each 2 x 2 square, rounded to nearest; an odd last row or column is repeated."""
    odd_y, odd_x = picture.shape[0] % 2, picture.shape[1] % 2
    if odd_y or odd_x:
        picture = np.pad(picture, ((0, odd_y), (0, odd_x), (0, 0)), mode="edge")
    rows = picture[0::2].astype(np.uint16) + picture[1::2]
    return ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)


def resample_area(
    picture: Picture,
    start: tuple[float, float],
    steps: tuple[float, float],
    shape_px: tuple[int, int],
    reduced: bool = False,
) -> Picture:
    """Return pixels that are each the mean of a rectangle of the source.

    Parameters
    ----------
    picture
        (height, width, 3) source.
    start
        Where the first pixel begins (y, x), in source pixels.
    steps
        Height and width of an answer pixel in source pixels.
    shape_px
        Shape of the answer.
    reduced
        What the source's pixels are: samples, each even across its square (False; steps below 1 then enlarge
        bilinearly), or means of finer pixels that should have been averaged themselves (True). Of those the running
        sum is known at every edge and is interpolated in between by cubics (Lagrange, four edges), which keeps means
        and comes within 45 dB of averaging finer pixels of a usual slide, where even squares are 3 dB worse (our
        choice; it reads one pixel beyond the rectangle).
    """
    aligned = all(abs(s) < 1e-4 for s in start) and all(abs(s - 1) < 1e-6 for s in steps)
    if aligned:
        return np.ascontiguousarray(picture[: shape_px[0], : shape_px[1]])
    answer = MEMORY.empty((*shape_px, 3))
    for top, left in itertools.product(range(0, shape_px[0], CHUNK_PX), range(0, shape_px[1], CHUNK_PX)):
        chunk = answer[top : top + CHUNK_PX, left : left + CHUNK_PX]
        corner = start[0] + top * steps[0], start[1] + left * steps[1]
        first = [min(max(0, math.floor(c) - 2), n - 1) for c, n in zip(corner, picture.shape[:2], strict=True)]
        end = [math.ceil(c + step * count) + 2 for c, step, count in zip(corner, steps, chunk.shape[:2], strict=True)]
        part = picture[first[0] : end[0], first[1] : end[1]]
        _resample_chunk(part, (corner[0] - first[0], corner[1] - first[1]), steps, reduced, chunk)
    return answer


def _resample_chunk(
    picture: Picture, start: tuple[float, float], steps: tuple[float, float], reduced: bool, chunk: Picture
) -> None:
    (height, width), (rows, columns) = picture.shape[:2], chunk.shape[:2]
    down = _blocks(height, round(start[0], 9), steps[0], rows, reduced)
    across = _blocks(width, round(start[1], 9), steps[1], columns, reduced, 3)
    source = _room("source", down.length, 3 * width)
    source[: down.before], source[down.before + height :] = 0, 0
    source[down.before : down.before + height] = picture.reshape(height, 3 * width)
    count, side, reach = down.shares.shape
    narrow = _room("narrow", count * side, 3 * across.length)
    first, end = 3 * across.before, 3 * (across.before + width)
    narrow[:, :first], narrow[:, end:] = 0, 0
    line, value = source.strides
    bands = as_strided(source[down.first :], (count, reach, 3 * width), (down.pitch * line, line, value))
    np.matmul(down.shares, bands, out=narrow.reshape(count, side, -1)[..., first:end])
    narrow = narrow[:rows]
    count, reach, side = across.shares.shape
    answer = _room("answer", rows, count * side)
    line, value = narrow.strides
    bands = as_strided(narrow[:, 3 * across.first :], (count, rows, reach), (3 * across.pitch * value, line, value))
    np.matmul(bands, across.shares, out=answer.reshape(rows, count, side).swapaxes(0, 1))
    answer += 0.5
    np.clip(answer, 0, 255, out=answer)
    chunk[:] = answer[:, : 3 * columns].reshape(rows, columns, 3)


def _room(name: str, rows: int, columns: int) -> Weights:
    """Memory that a thread uses again: taking it anew from the system costs more than the sums done in it."""
    size = rows * columns
    room: Weights | None = getattr(_ROOMS, name, None)
    if room is None or room.size < size:
        room = np.empty(size, np.float32)
        if room.nbytes <= ROOM_BYTES:
            setattr(_ROOMS, name, room)
    return room[:size].reshape(rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Blocks:
    """Shares of one axis, a few pixels of the answer at a time, so that each is one product of small matrices.

    Parameters
    ----------
    shares
        (blocks, pixels of the answer, reach); of colours (blocks, values of the source, values of the answer).
    pitch
        Pixels of the source from one block to the next: even, so that one call makes all products.
    before, length
        Pixels to put before the source, and how many there are then with those after it.
    first
        Which of these the first block begins with.
    """

    shares: Weights
    pitch: int
    before: int
    length: int
    first: int


@lru_cache(KEPT)
def _blocks(source: int, start: float, step: float, count: int, reduced: bool, colours: int = 1) -> _Blocks:
    pixels, weights = _shares(source, start, step, count, reduced)
    number, pitch = np.arange(count)[:, None], max(1, round(step * SIDE))
    blocks, offsets = -(-count // SIDE), pixels - number // SIDE * pitch
    first = int(offsets.min())
    reach = int(offsets.max()) + 1 - first
    shares = np.zeros((blocks, SIDE, reach), np.float32)
    np.add.at(shares, (number // SIDE, number % SIDE, offsets - first), weights)
    if colours > 1:
        coloured = np.zeros((blocks, reach, colours, SIDE, colours), np.float32)
        for colour in range(colours):
            coloured[:, :, colour, :, colour] = shares.swapaxes(1, 2)
        shares = coloured.reshape(blocks, reach * colours, SIDE * colours)
    before = max(0, -first)
    return _Blocks(shares, pitch, before, before + max(source, first + (blocks - 1) * pitch + reach), before + first)


def _shares(source: int, start: float, step: float, count: int, reduced: bool) -> tuple[npt.NDArray[np.int64], Weights]:
    """(count, reach) source pixels and their share in each answer pixel; shares sum to 1, edges are repeated."""
    width = step if reduced else max(step, 1.0)
    low = np.asarray(start + step * (np.arange(count) + 0.5)[:, None] - width / 2, np.float64)
    margin = 1 if reduced else 0
    pixels = np.floor(low + 1e-9).astype(np.int64) - margin + np.arange(int(np.ceil(width)) + 1 + 2 * margin)
    part = _part_of_cubic if reduced else _part_of_step
    weights = part(low + width, pixels) - part(low, pixels)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(pixels, 0, source - 1), weights.astype(np.float32)


def _part_of_step(edge: Places, pixels: npt.NDArray[np.int64]) -> Places:
    """How much of a pixel is counted in the running sum up to an edge, when pixels are even."""
    return np.asarray(np.clip(edge - pixels, 0, 1))


def _part_of_cubic(edge: Places, pixels: npt.NDArray[np.int64]) -> Places:
    """The same when the running sum is a cubic through the two edges before and the two after."""
    whole = np.floor(edge + 1e-9)
    t = edge - whole
    before, last = -t * (t - 1) * (t - 2) / 6, (t + 1) * t * (t - 1) / 6
    following = last - (t + 1) * t * (t - 2) / 2
    place = pixels - whole
    return np.asarray(np.select([place < -1, place == -1, place == 0, place == 1], [1, 1 - before, following, last], 0))

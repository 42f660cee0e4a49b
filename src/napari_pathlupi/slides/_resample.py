"""Averaging pixels over exact areas."""

import threading
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]

ROWS, COLUMNS = 8, 4
"""Rows and columns of the answer that are made by one product of matrices: the fastest of 4 to 32 where measured."""
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
    (height, width), (rows, columns) = picture.shape[:2], shape_px
    tops, downs = _blocks(height, round(start[0], 9), steps[0], rows, reduced)
    lefts, acrosses = _coloured_blocks(width, round(start[1], 9), steps[1], columns, reduced)
    source = _room("source", height, width * 3)
    source[:] = picture.reshape(height, width * 3)
    narrow = _room("narrow", len(tops) * ROWS, width * 3)
    for index, top in enumerate(tops):
        np.matmul(downs[index], source[top : top + downs.shape[2]], out=narrow[index * ROWS : (index + 1) * ROWS])
    answer = _room("answer", rows, len(lefts) * 3 * COLUMNS)
    narrow, reach, side = narrow[:rows], acrosses.shape[1], 3 * COLUMNS
    for index, left in enumerate(lefts):
        np.matmul(narrow[:, left : left + reach], acrosses[index], out=answer[:, index * side : (index + 1) * side])
    answer += 0.5
    np.clip(answer, 0, 255, out=answer)
    return answer[:, : 3 * columns].astype(np.uint8).reshape(rows, columns, 3)


def _room(name: str, rows: int, columns: int) -> Weights:
    """Memory that a thread uses again: taking it anew from the system costs more than the sums done in it."""
    size = rows * columns
    room: Weights | None = getattr(_ROOMS, name, None)
    if room is None or room.size < size:
        room = np.empty(size, np.float32)
        if room.nbytes <= ROOM_BYTES:
            setattr(_ROOMS, name, room)
    return room[:size].reshape(rows, columns)


@lru_cache(KEPT)
def _blocks(
    source: int, start: float, step: float, count: int, reduced: bool, side: int = ROWS
) -> tuple[list[int], Weights]:
    """Where each block's source begins, and (blocks, pixels of the answer, pixels of the source) shares."""
    pixels, weights = _shares(source, start, step, count, reduced)
    number = np.arange(count)[:, None]
    first = pixels[::side].min(axis=1)
    reach = min(source, int((pixels - first[number // side]).max()) + 1)
    first = np.minimum(first, source - reach)
    shares = np.zeros((len(first), side, reach), np.float32)
    np.add.at(shares, (number // side, number % side, pixels - first[number // side]), weights)
    return first.tolist(), shares


@lru_cache(KEPT)
def _coloured_blocks(source: int, start: float, step: float, count: int, reduced: bool) -> tuple[list[int], Weights]:
    """The same over rows of interleaved colours, and (blocks, values of the source, values of the answer)."""
    first, shares = _blocks.__wrapped__(source, start, step, count, reduced, COLUMNS)
    blocks, side, reach = shares.shape
    coloured = np.zeros((blocks, reach, 3, side, 3), np.float32)
    for channel in range(3):
        coloured[:, :, channel, :, channel] = shares.swapaxes(1, 2)
    return [3 * left for left in first], coloured.reshape(blocks, reach * 3, side * 3)


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

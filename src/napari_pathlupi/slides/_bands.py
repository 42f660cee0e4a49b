"""Regions that are averaged down, or hang over the edge, in bounded memory."""

import itertools
from collections.abc import Callable

import numpy as np

from napari_pathlupi.slides._resample import halve
from napari_pathlupi.slides._slide import WHITE, Picture

BAND_PIXELS = 16_000_000
"""Pixels that are held unhalved at once: 48 MB (our choice)."""
BAND_HALVINGS = 8
"""Halvings of one band; more are done in turns, so that a band stays small however large the slide (our choice)."""


def reduce_by_halving(picture: Picture, halvings: int) -> Picture:
    """Return the picture averaged over squares of ``2 ** halvings``; its sides must divide by that."""
    for _ in range(halvings):
        picture = halve(picture)
    return picture


def white_around(
    read: Callable[[slice, slice], Picture],
    whole_px: tuple[int, int],
    origin_px: tuple[int, int],
    shape_px: tuple[int, int],
    halvings: int,
) -> Picture:
    """Return a region of a picture that can only be read inside itself, white outside, then halved.

    Parameters
    ----------
    read
        Gives the pixels of a range of rows and of columns inside the picture.
    whole_px
        Shape of the picture.
    origin_px, shape_px, halvings
        As of `Slide.read_level`.
    """

    def read_band(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
        band = np.full((*shape, 3), WHITE, np.uint8)
        low = [max(0, start) for start in origin]
        high = [min(whole, start + count) for whole, start, count in zip(whole_px, origin, shape, strict=True)]
        if high[0] > low[0] and high[1] > low[1]:
            rows, columns = (slice(a - o, b - o) for a, b, o in zip(low, high, origin, strict=True))
            band[rows, columns] = read(slice(low[0], high[0]), slice(low[1], high[1]))[..., :3]
        return band

    return halved_in_bands(read_band, origin_px, shape_px, halvings)


def halved_in_bands(
    read: Callable[[tuple[int, int], tuple[int, int]], Picture],
    origin_px: tuple[int, int],
    shape_px: tuple[int, int],
    halvings: int,
) -> Picture:
    """Return a halved region without ever holding more than a band of it unhalved.

    Parameters
    ----------
    read
        Gives the unhalved pixels of an origin and a shape.
    origin_px, shape_px, halvings
        As of `Slide.read_level`.
    """
    if halvings > BAND_HALVINGS:

        def read_halved(origin: tuple[int, int], shape: tuple[int, int]) -> Picture:
            return halved_in_bands(read, origin, shape, BAND_HALVINGS)

        return halved_in_bands(read_halved, origin_px, shape_px, halvings - BAND_HALVINGS)
    factor = 2**halvings
    if shape_px[0] * shape_px[1] * factor**2 <= BAND_PIXELS:
        whole = read((origin_px[0] * factor, origin_px[1] * factor), (shape_px[0] * factor, shape_px[1] * factor))
        return reduce_by_halving(whole, halvings)
    answer = np.empty((*shape_px, 3), np.uint8)
    columns = max(1, min(shape_px[1], BAND_PIXELS // factor**2))
    rows = max(1, BAND_PIXELS // (columns * factor**2))
    for y, x in itertools.product(range(0, shape_px[0], rows), range(0, shape_px[1], columns)):
        height, width = min(rows, shape_px[0] - y), min(columns, shape_px[1] - x)
        band = read(((origin_px[0] + y) * factor, (origin_px[1] + x) * factor), (height * factor, width * factor))
        answer[y : y + height, x : x + width] = reduce_by_halving(band, halvings)
    return answer

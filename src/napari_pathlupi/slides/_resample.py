"""Averaging pixels over exact areas."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

Picture = npt.NDArray[np.uint8]


def halve(picture: Picture) -> Picture:
    """Return the mean of each 2 x 2 square, rounded to nearest; an odd last row or column is repeated."""
    odd_y, odd_x = picture.shape[0] % 2, picture.shape[1] % 2
    if odd_y or odd_x:
        picture = np.pad(picture, ((0, odd_y), (0, odd_x), (0, 0)), mode="edge")
    rows = picture[0::2].astype(np.uint16) + picture[1::2]
    return ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)


def resample_area(
    picture: Picture, start: tuple[float, float], steps: tuple[float, float], shape_px: tuple[int, int]
) -> Picture:
    """Return pixels that are each the exact mean of a rectangle of the source.

    Parameters
    ----------
    picture
        (height, width, 3) source.
    start
        Where the first pixel begins (y, x), in source pixels.
    steps
        Height and width of an answer pixel in source pixels. Below 1 the source is enlarged, bilinearly.
    shape_px
        Shape of the answer.
    """
    aligned = all(abs(s) < 1e-4 for s in start) and all(abs(s - 1) < 1e-6 for s in steps)
    if aligned:
        return np.ascontiguousarray(picture[: shape_px[0], : shape_px[1]])
    rows = _area_weights(picture.shape[0], start[0], steps[0], shape_px[0])
    columns = _area_weights(picture.shape[1], start[1], steps[1], shape_px[1])
    height, width, channels = picture.shape
    down = rows @ picture.reshape(height, width * channels).astype(np.float32)
    across = down.reshape(shape_px[0], width, channels).transpose(1, 0, 2).reshape(width, -1)
    answer = (columns @ across).reshape(shape_px[1], shape_px[0], channels).transpose(1, 0, 2)
    return np.ascontiguousarray((answer + 0.5).clip(0, 255).astype(np.uint8))


def _area_weights(source: int, start: float, step: float, count: int) -> sparse.csr_array:
    """(count, source) share of each source pixel in each answer pixel; rows sum to 1."""
    width = max(step, 1.0)
    centre = start + step * (np.arange(count) + 0.5)
    low, high = centre - width / 2, centre + width / 2
    reach = int(np.ceil(width)) + 1
    first = np.floor(low + 1e-9).astype(np.int64)
    pixels = first[:, None] + np.arange(reach)
    overlap = np.minimum(pixels + 1, high[:, None]) - np.maximum(pixels, low[:, None])
    overlap = np.clip(overlap, 0, None)
    weights = overlap / overlap.sum(axis=1, keepdims=True)
    answers = np.repeat(np.arange(count), reach)
    inside = np.clip(pixels, 0, source - 1).ravel()
    matrix = sparse.coo_array((weights.ravel().astype(np.float32), (answers, inside)), shape=(count, source))
    return sparse.csr_array(matrix)

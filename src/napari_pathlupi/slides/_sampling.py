"""Regions at any scale, from the stored level that gives them best."""

import itertools
import math
from typing import TYPE_CHECKING

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.slides._memory import MEMORY
from napari_pathlupi.slides._resample import Picture, resample_area

if TYPE_CHECKING:
    from napari_pathlupi.slides._slide import Slide

RESAMPLED_PIXELS = 4_000_000
"""Pixels that are averaged over areas at once, as float32: 48 MB (our choice)."""
LEAST_STEP = 0.98
"""Halved pixels per pixel from which a slide may be halved: 0.2525 to 0.5 µm/px is 0.99 (our choice)."""
MOST_STEP = 256
"""Pixels along each axis of a mean of which no texture is left to lose: beyond it is halved anyway (our choice)."""
MOST_PX = 1 << 30
"""Pixels of the largest region that is made at once: 3.2 GB (our choice)."""
EDGE_PX = 2
"""How far beyond the edge of a level its pixels reach into an average."""
Pair = tuple[float, float]


def sample(slide: "Slide", origin_px0: Pair, shape_px: tuple[int, int], scale: Pair, quick: bool = False) -> Picture:
    """Return a region at a scale, without ever holding more than a band of what it is averaged from.

    Parameters
    ----------
    slide
        What is read.
    origin_px0, shape_px, scale
        As of `napari_pathlupi.slides.Slide.read_scaled`.
    quick
        Halve as often as fits, whatever that does to fine texture.
    """
    _must_be_readable(slide, origin_px0, shape_px, scale)
    level, ratios = level_for(slide, scale)
    halvings = max(0, math.floor(math.log2(min(ratios)) + 1e-4)) if quick else _halvings(slide, level, ratios)
    factor = slide.levels[level].downsample * 2**halvings
    steps = scale[0] / factor, scale[1] / factor
    start = origin_px0[0] / factor, origin_px0[1] / factor
    whole = [side / 2**halvings for side in slide.levels[level].shape_px]
    touching = [_touching(*axis) for axis in zip(start, steps, shape_px, whole, strict=True)]
    if [len(kept) for kept in touching] == list(shape_px):
        return _sampled(slide, (level, halvings), start, steps, shape_px)
    answer = MEMORY.empty((*shape_px, 3))
    answer.fill(255)
    rows, columns = touching
    if rows and columns:
        corner = start[0] + rows.start * steps[0], start[1] + columns.start * steps[1]
        part = _sampled(slide, (level, halvings), corner, steps, (len(rows), len(columns)))
        answer[rows.start : rows.stop, columns.start : columns.stop] = part
    return answer


def _must_be_readable(slide: "Slide", origin_px0: Pair, shape_px: tuple[int, int], scale: Pair) -> None:
    name, most = slide.path.name, 2.0 * max(slide.frame.shape_px0)
    if not all(0 < step <= most for step in scale):
        raise SettingsError(
            f"{name} cannot be read in pixels of {scale[0]:g} × {scale[1]:g} of its own: give µm per pixel above 0 "
            f"and at most {most:g} times its own."
        )
    if not all(math.isfinite(place) for place in origin_px0):
        raise SettingsError(f"{name} cannot be read from {tuple(origin_px0)} on: give two finite numbers, y and x.")
    whole = len(shape_px) == 2 and all(hasattr(side, "__index__") and side >= 0 for side in shape_px)
    if not whole or int(shape_px[0]) * int(shape_px[1]) > MOST_PX:
        raise SettingsError(
            f"{name} cannot be read as {tuple(shape_px)} pixels: give height and width as whole numbers from 0 on, of "
            f"at most {MOST_PX / 1e6:,.0f} million pixels; read it in parts, or coarser."
        )


def _touching(start: float, step: float, count: int, whole: float) -> range:
    """Which pixels of the answer are not white for certain."""
    low = min(count, max(0, math.floor((-EDGE_PX - start) / step)))
    return range(low, max(low, min(count, math.ceil((whole + EDGE_PX - start) / step))))


def _sampled(slide: "Slide", source: tuple[int, int], start: Pair, steps: Pair, shape_px: tuple[int, int]) -> Picture:
    level, halvings = source
    nearest = round(start[0]), round(start[1])
    if all(abs(s - n) < 1e-4 and abs(step - 1) < 1e-6 for s, n, step in zip(start, nearest, steps, strict=True)):
        return slide.read_level(level, nearest, shape_px, halvings)
    columns = max(1, min(shape_px[1], int(RESAMPLED_PIXELS / (steps[0] * steps[1]))))
    rows = max(1, int(RESAMPLED_PIXELS / (steps[0] * steps[1] * columns)))
    answer = MEMORY.empty((*shape_px, 3))
    for top, left in itertools.product(range(0, shape_px[0], rows), range(0, shape_px[1], columns)):
        band = answer[top : top + rows, left : left + columns]
        corner = start[0] + top * steps[0], start[1] + left * steps[1]
        band[:] = _averaged(slide, source, corner, steps, (band.shape[0], band.shape[1]))
    return answer


def level_for(slide: "Slide", scale: Pair) -> tuple[int, Pair]:
    """Return the coarsest level that is fine enough, and what is left to average of it."""
    fitting = [i for i, level in enumerate(slide.levels) if level.downsample <= min(scale) * (1 + 1e-4)]
    level = fitting[-1] if fitting else 0
    downsample = slide.levels[level].downsample
    return level, (scale[0] / downsample, scale[1] / downsample)


def _halvings(slide: "Slide", level: int, ratios: Pair) -> int:
    powers = [math.log2(ratio) for ratio in ratios]
    whole = round(powers[0])
    if whole >= 0 and all(abs(power - whole) < 1e-4 for power in powers):
        return whole
    most = math.floor(math.log2(min(ratios) / LEAST_STEP))
    borne = next((count for count in range(most, 0, -1) if slide.bears_halving(level, count, min(ratios))), 0)
    return max(borne, math.floor(math.log2(min(ratios) / MOST_STEP)))


def _averaged(slide: "Slide", source: tuple[int, int], start: Pair, steps: Pair, shape_px: tuple[int, int]) -> Picture:
    reduced = source != (0, 0)
    margin = 1 if reduced else 0
    first = math.floor(start[0] + 1e-6) - margin, math.floor(start[1] + 1e-6) - margin
    last = [math.ceil(s + step * count - 1e-6) + margin for s, step, count in zip(start, steps, shape_px, strict=True)]
    picture = slide.read_level(source[0], first, (last[0] - first[0], last[1] - first[1]), source[1])
    return resample_area(picture, (start[0] - first[0], start[1] - first[1]), steps, shape_px, reduced)

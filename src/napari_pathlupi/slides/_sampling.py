"""Regions at any scale, from the stored level that gives them best."""

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
    if not all(0 < step < math.inf for step in scale):
        raise SettingsError(
            f"{slide.path.name} cannot be read in pixels of {scale[0]:g} × {scale[1]:g} of its own: give µm per pixel "
            "above 0."
        )
    level, ratios = level_for(slide, scale)
    halvings = max(0, math.floor(math.log2(min(ratios)) + 1e-4)) if quick else _halvings(slide, level, ratios)
    factor = slide.levels[level].downsample * 2**halvings
    steps = scale[0] / factor, scale[1] / factor
    start = origin_px0[0] / factor, origin_px0[1] / factor
    nearest = round(start[0]), round(start[1])
    if all(abs(s - n) < 1e-4 and abs(step - 1) < 1e-6 for s, n, step in zip(start, nearest, steps, strict=True)):
        return slide.read_level(level, nearest, shape_px, halvings)
    rows = max(1, int(RESAMPLED_PIXELS / (steps[0] * steps[1] * max(1, shape_px[1]))))
    answer = MEMORY.empty((*shape_px, 3))
    for top in range(0, shape_px[0], rows):
        band = answer[top : top + rows]
        corner = start[0] + top * steps[0], start[1]
        band[:] = _averaged(slide, (level, halvings), corner, steps, (len(band), shape_px[1]))
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
    return next((count for count in range(most, 0, -1) if slide.bears_halving(level, count, min(ratios))), 0)


def _averaged(slide: "Slide", source: tuple[int, int], start: Pair, steps: Pair, shape_px: tuple[int, int]) -> Picture:
    reduced = source != (0, 0)
    margin = 1 if reduced else 0
    first = math.floor(start[0] + 1e-6) - margin, math.floor(start[1] + 1e-6) - margin
    last = [math.ceil(s + step * count - 1e-6) + margin for s, step, count in zip(start, steps, shape_px, strict=True)]
    picture = slide.read_level(source[0], first, (last[0] - first[0], last[1] - first[1]), source[1])
    return resample_area(picture, (start[0] - first[0], start[1] - first[1]), steps, shape_px, reduced)

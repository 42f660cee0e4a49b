"""Optical density of an overview, and what its hue says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pathlupi.core.tissue import BLACK_PEN, BLUE_PEN, GREEN_PEN, RED_PEN

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """What light was lost where, as optical density against the slide's own glass.

    Parameters
    ----------
    colour
        (rows, columns) the strongest absorbed channel less the weakest: what stains do.
    grey
        (rows, columns) the weakest absorbed channel: what shadow, dust and pencil do too.
    sure_ink, faint_ink
        (rows, columns) where a pixel is surely ink, and perhaps.
    ink
        (rows, columns) which pen it would be, were it ink.
    overview, table
        The picture, and (256, 3) the density of every value.
    """

    colour: Plane
    grey: Plane
    sure_ink: Flags
    faint_ink: Flags
    ink: npt.NDArray[np.uint8]
    overview: Picture
    table: Plane

    def thinned(self, times: int) -> "Densities":
        """Return every so-many-th row and column."""
        thin = slice(None, None, times), slice(None, None, times)
        return Densities(
            self.colour[thin],
            self.grey[thin],
            self.sure_ink[thin],
            self.faint_ink[thin],
            self.ink[thin],
            self.overview[thin],
            self.table,
        )

    def channels(self, place: tuple[slice, ...]) -> Plane:
        """(3, …) density in red, green and blue."""
        picture = self.overview[place]
        return np.stack([self.table[picture[..., channel], channel] for channel in range(3)])

    def channel(self, channel: int) -> Plane:
        """(rows, columns) density in one channel."""
        return np.asarray(self.table[:, channel][self.overview[..., channel]])


def densities(overview: Picture) -> Densities:
    """Return the optical densities of a picture, and hues that haematoxylin and eosin cannot mix.

    Haematoxylin and eosin take more green than red and much more green than blue. Green and blue ink take more red
    than green, green ink less green than blue; red ink hardly any red, but blue as much as green; black takes all
    alike. All bounds are our choice.
    """
    table, shape = _density_table(overview), overview.shape[:2]
    flattest = _blue_per_green(overview, table)
    colour, weak = np.empty((2, *shape), np.float32)
    sure, faint = np.empty((2, *shape), bool)
    ink = np.empty(shape, np.uint8)
    for top in range(0, len(overview), 64):  # a strip fits the processor's cache
        rows = slice(top, top + 64)
        red, green, blue = (table[overview[rows, :, channel], channel] for channel in range(3))
        strongest, weakest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        np.subtract(strongest, weakest, out=colour[rows])
        weak[rows] = weakest
        cold, pink, grey = red > green, (red < 0.25 * green) & (blue > 0.62 * green), weakest > 0.58 * strongest
        flat = (blue > flattest * green) & (blue < 1.15 * green)
        sure_cold = (red > 0.15) & (red > 1.3 * green) | (red > 0.35) & (red > 1.02 * green)
        sure[rows] = sure_cold | (green > np.where(grey, 0.5, 0.35)) & flat
        faint[rows] = (red > 0.06) & cold | (green > 0.12) & (pink | grey)
        cold_ink = np.where(green < blue, GREEN_PEN, BLUE_PEN)
        ink[rows] = np.where(grey, BLACK_PEN, np.where(cold, cold_ink, RED_PEN))
    return Densities(colour, weak, sure, faint, ink, overview, table)


def drop_small(flags: Flags, cells: float) -> Flags:
    """Return the same without pieces (4-connected) of fewer cells."""
    labels, _ = ndimage.label(flags)
    large = np.bincount(labels.ravel()) >= cells
    large[0] = False
    return np.asarray(large[labels])


def grown(flags: Flags) -> Flags:
    """Return the same with every cell that touches one of them, at a corner too."""
    tall = flags.copy()
    tall[1:] |= flags[:-1]
    tall[:-1] |= flags[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def enlarged(picture: npt.NDArray[Any], times: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return every cell repeated in both directions, cut to a shape."""
    return picture.repeat(times, axis=0)[: shape[0]].repeat(times, axis=1)[:, : shape[1]]


def _blue_per_green(overview: Picture, table: Plane) -> float:
    """How much blue ink must take, of green: a tenth more than the slide's stains do, 0.75 to 0.82. Our choice."""
    thin = max(1, min(overview.shape[:2]) // 250)
    red, green, blue = (table[overview[::thin, ::thin, channel], channel] for channel in range(3))
    taken = (green > 0.1) & (green > 1.5 * red)
    stained = taken & (blue < 0.75 * green)
    usual = float(np.median(blue[stained] / green[stained])) if 2 * stained.sum() > taken.sum() > 0 else 0.0
    return min(max(1.1 * usual, 0.75), 0.82)


def _density_table(overview: Picture) -> Plane:
    """(256, 3) optical density of every value against the slide's own glass, never below 0.

    The glass is the 90th percentile of the bright and colourless pixels (all channels above 190 and within 25 of
    each other; exact white, with which scanners pad, aside), or 245 grey on a slide that shows none. Our choice.
    """
    thin = max(1, min(overview.shape[:2]) // 500)
    sample = overview[::thin, ::thin].reshape(-1, 3)
    low, high = sample.min(axis=1), sample.max(axis=1)
    glass = sample[(low > 190) & (high - low < 25) & (low < 255)]
    levels = np.percentile(glass, 90, axis=0) if 1000 * len(glass) > len(sample) else np.full(3, 245.0)
    density: Plane = np.log10((levels + 1) / (np.arange(256)[:, None] + 1)).clip(min=0).astype(np.float32)
    return density

"""Strokes of a pen, and of which colour."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pathlupi.core.tissue import BLACK_PEN, BLUE_PEN, GREEN_PEN, PENS, RED_PEN
from napari_pathlupi.tissue._density import Densities, Flags, drop_small, enlarged


def strokes(light: Densities, mpp: float) -> Flags:
    """Return solid ink that is sure, and the faint ink that goes on from it, from 60,000 µm² on; a margin of 24 µm.

    Faint ink goes on for 120 µm, and for 1.5 mm from 20,000 µm² of sure ink that is as red, or as little. Black must be
    solid over 120 µm, for folds, cracks and the rims of bubbles are black and thinner. Ink is looked at with 16 µm per
    pixel. Our choice throughout.
    """
    shape, times = light.ink.shape, _thinning(mpp)
    light, mpp = light.thinned(times), times * mpp
    if np.count_nonzero(light.sure_ink) < 20_000 / mpp**2:
        return np.zeros(shape, bool)
    red = light.ink == RED_PEN
    core = solid(light.sure_ink & (light.ink != BLACK_PEN), 40 / mpp) | solid(light.sure_ink, 120 / mpp)
    going_on = solid(light.faint_ink, 40 / mpp) & _within(core, 120 / mpp)
    for family in (red, ~red):
        own = drop_small(core & family, 20_000 / mpp**2)
        if own.any():
            going_on |= solid(light.faint_ink & family, 40 / mpp) & _within(own, 1500 / mpp)
    pieces, _ = ndimage.label(core | going_on)
    areas = np.bincount(pieces.ravel())
    inked = np.bincount(pieces[core], minlength=len(areas)) > 0
    kept = (inked & (areas >= 60_000 / mpp**2))[pieces]
    return enlarged(_within(kept, max(1, 24 / mpp)), times, shape)


def _thinning(mpp: float) -> int:
    return max(1, round(16 / mpp))


def _within(flags: Flags, cells: float) -> Flags:
    return np.asarray(ndimage.maximum_filter(flags, 2 * round(cells) + 1))


def inked_pieces(tissue: Flags, pen: Flags, light: Densities) -> Flags:
    """Return pieces of tissue that touch a stroke and are nearly all faint ink: the stroke itself, where it pales."""
    if not pen.any():
        return pen
    pieces, _ = ndimage.label(tissue)
    areas = np.maximum(1, np.bincount(pieces.ravel()))
    inked = np.bincount(pieces[light.faint_ink], minlength=len(areas)) > 0.7 * areas
    touching = np.bincount(pieces[ndimage.binary_dilation(pen, iterations=2)], minlength=len(areas)) > 0
    touching[0] = False
    return np.asarray((inked & touching)[pieces])


def colours(pen: Flags, tissue: Flags, light: Densities, mpp: float) -> npt.NDArray[np.uint8]:
    """(rows, columns) which pen, by the commonest hue of the ink within 100 µm; meaningless off the strokes.

    Ink on tissue looks darker and greyer than it is, so that hues which are not quite grey are judged again without
    the slide's mean tissue: what still takes a quarter more red than green is green or blue. Our choice throughout.
    """
    if not pen.any():
        return np.zeros(pen.shape, np.uint8)
    shape, times = pen.shape, _thinning(mpp)
    thin = slice(None, None, times), slice(None, None, times)
    light, pen, tissue, mpp = light.thinned(times), pen[thin], tissue[thin], times * mpp
    said = np.zeros(pen.shape, np.uint8)
    some = slice(None, None, 2), slice(None, None, 2)
    under = light.channels(some)[:, tissue[some]]
    stain = under.mean(axis=1) if under.size else np.zeros(3)
    labels, _ = ndimage.label(pen)
    for place in ndimage.find_objects(labels):
        voting, side = pen[place] & light.faint_ink[place], 2 * round(100 / mpp) + 1
        red, green, blue = light.channels(place) - stain[:, None, None]
        hued = light.colour[place] > 0.15 * (light.colour[place] + light.grey[place])
        cold = (red > 0.1) & (red > 1.25 * green) & hued
        hue = np.where(cold, np.where(green < blue, GREEN_PEN, BLUE_PEN), light.ink[place])
        votes = [
            ndimage.uniform_filter((voting & (hue == one)).astype(np.float32), side, mode="constant") for one in PENS
        ]
        winner = np.array(PENS, np.uint8)[np.argmax(votes, axis=0)]
        said[place] = np.where(pen[place], winner, said[place])
    return enlarged(said, times, shape)


def solid(flags: Flags, side: float) -> Flags:
    """Return where most of a square around a pixel is set."""
    return np.asarray(ndimage.uniform_filter(flags.astype(np.float32), round(side) | 1) > 0.5)

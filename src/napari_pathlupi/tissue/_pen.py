"""Strokes of a pen, and of which colour."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pathlupi.core.tissue import BLACK_PEN, BLUE_PEN, GREEN_PEN, PENS
from napari_pathlupi.tissue._density import Densities, Flags


def strokes(light: Densities, mpp: float) -> Flags:
    """Return solid faint ink within 120 µm of solid sure ink that it touches, from 60,000 µm² on; a margin of 16 µm.

    Black must be solid over 120 µm, for folds, cracks and the rims of bubbles are black and thinner. Our choice.
    """
    core = solid(light.sure_ink & (light.ink != BLACK_PEN), 40 / mpp) | solid(light.sure_ink, 120 / mpp)
    if not core.any():
        return core
    near = ndimage.maximum_filter(core, 2 * round(120 / mpp) + 1)
    pieces, _ = ndimage.label(core | solid(light.faint_ink, 40 / mpp) & near)
    areas = np.bincount(pieces.ravel())
    inked = np.bincount(pieces[core], minlength=len(areas)) > 0
    kept = (inked & (areas >= 60_000 / mpp**2))[pieces]
    return np.asarray(ndimage.maximum_filter(kept, 2 * max(1, round(16 / mpp)) + 1))


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
    said = np.zeros(pen.shape, np.uint8)
    if not pen.any():
        return said
    thin = slice(None, None, 4), slice(None, None, 4)
    under = light.channels(thin)[:, tissue[thin]]
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
    return said


def solid(flags: Flags, side: float) -> Flags:
    """Return where most of a square around a pixel is set."""
    return np.asarray(ndimage.uniform_filter(flags.astype(np.float32), max(1, round(side))) > 0.5)

"""Tissue that is nearly glass: fat, and faintly stained pieces on a slide of stronger ones."""

import numpy as np
from scipy import ndimage

from napari_pathlupi.tissue._density import Densities, Flags, Plane, drop_small, enlarged, grown

FAINT = 0.03
"""Coloured optical density of a faint stain; glass has 0.001 to 0.006 on real slides. Our choice."""
CLEAR = 0.02
"""Coloured density within a fat cell; three tenths of fat have less, and hardly any of faint tissue. Our choice."""
STRONG = 0.06
"""What is stained more than this is no net, however small; our choice."""
NET = 0.003
"""Mean coloured density that thin septa have above the lumina around them; glass has none. Our choice."""


def pale(colour: Plane, light: Densities, tissue: Flags, other: Flags, mpp: float) -> tuple[Flags, Flags]:
    """Return faintly stained tissue beside what is tissue already, and fat.

    Fat is a net: coloured septa thinner than a pixel around cells as clear as glass. It is known by the mean over
    240 µm of what is coloured above the least colour within 100 µm, so that tinted glass does not count. Faint and fat
    tissue counts from 80,000 µm² on, 120 µm away from ink and shadow; glass within tissue that is fat throughout
    always does. Every second row and column is looked at. All numbers are our choice.
    """
    thin, mpp = (slice(None, None, 2), slice(None, None, 2)), 2 * mpp
    tissue, other, shape = tissue[thin], other[thin], tissue.shape
    near = grown(tissue) | _within(other, 120 / mpp)
    floor = ndimage.minimum_filter(light.colour[thin], 2 * round(50 / mpp) + 1, mode="nearest")
    above = np.where(near, 0, np.clip(light.colour[thin] - floor - 0.01, 0, 0.03))
    side = max(1, round(240 / mpp))
    clear = ndimage.uniform_filter((~near).astype(np.float32), side, mode="nearest")
    net = ndimage.uniform_filter(above, side, mode="nearest") / np.maximum(clear, 0.25)
    likely = ((colour[thin] > FAINT) | (net > NET)) & ~other
    alone = np.where(colour[thin] > STRONG, 0, np.maximum(above, FAINT * (colour[thin] > FAINT)))
    found = _throughout(drop_small(likely & ~near, 80_000 / mpp**2), alone, NET / 2)
    found = _within(found, 100 / mpp) & likely & ~tissue
    holes = _throughout(~(tissue | other | found), above, NET, near)
    fat = _throughout(found, (light.colour[thin] < CLEAR).astype(np.float32), 0.3)
    return enlarged(found & ~fat, 2, shape), enlarged(fat | holes, 2, shape)


def _throughout(flags: Flags, values: Plane, least: float, but: Flags | None = None) -> Flags:
    """The pieces over which the values, but for some, have at least that mean."""
    pieces, count = ndimage.label(flags)
    looked_at = pieces.ravel() if but is None else np.where(but, 0, pieces).ravel()
    areas = np.bincount(looked_at, minlength=count + 1)
    enough = np.bincount(looked_at, values.ravel(), count + 1) > least * np.maximum(1, areas)
    enough[0] = False
    return np.asarray(enough[pieces])


def _within(flags: Flags, cells: float) -> Flags:
    return np.asarray(ndimage.maximum_filter(flags, 2 * round(cells) + 1)) if flags.any() else flags

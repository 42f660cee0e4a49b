"""Tissue that is nearly glass: fat, and faintly stained pieces on a slide of stronger ones."""

import numpy as np
from scipy import ndimage

from napari_pathlupi.tissue._density import Densities, Flags, Plane, drop_small, enlarged

FAINT = 0.03
"""Coloured optical density of a faint stain; glass has 0.001 to 0.006 on real slides. Our choice."""
NET = 0.003
"""Mean coloured density that thin septa have above the lumina around them; glass has none. Our choice."""


def pale(colour: Plane, light: Densities, tissue: Flags, other: Flags, mpp: float) -> Flags:
    """Return pale tissue away from what is tissue already, 160,000 µm² or more, grown up to it.

    Fat is a net: coloured septa thinner than a pixel around cells as clear as glass. It is known by the mean over
    240 µm of what is coloured above the least colour within 100 µm, so that tinted glass does not count. Borders of
    tissue (80 µm) and of ink and shadow (120 µm) look like both and begin no piece of their own. Every
    second row and column is looked at. All numbers are our choice.
    """
    thin = slice(None, None, 2), slice(None, None, 2)
    net, mpp = _net(light.colour[thin], (tissue | other)[thin], 2 * mpp), 2 * mpp
    found = ((colour[thin] > FAINT) | (net > NET)) & ~other[thin]
    near = ndimage.maximum_filter(tissue[thin], 2 * round(80 / mpp) + 1)
    if other.any():
        near |= ndimage.maximum_filter(other[thin], 2 * round(120 / mpp) + 1)
    seeds = drop_small(found & ~near, 160_000 / mpp**2)
    if not seeds.any():
        return np.zeros_like(tissue)
    found &= ndimage.maximum_filter(seeds, 2 * round(100 / mpp) + 1)
    return np.asarray(enlarged(found, 2, tissue.shape) & ~other)


def _net(colour: Plane, known: Flags, mpp: float) -> Plane:
    floor = ndimage.minimum_filter(colour, 2 * round(50 / mpp) + 1, mode="nearest")
    above = np.where(known, 0, np.clip(colour - floor - 0.01, 0, 0.03))
    return np.asarray(ndimage.uniform_filter(above, max(1, round(240 / mpp)), mode="nearest"))

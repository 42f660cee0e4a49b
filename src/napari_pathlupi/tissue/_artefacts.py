"""What lies on a slide beside tissue and ink, or spoils tissue: the slide's edge, bubbles, folds."""

import numpy as np
from scipy import ndimage

from napari_pathlupi.tissue._density import Densities, Flags, Plane, enlarged, grown

_CORNERS = np.ones((3, 3), bool)


def slide_edge(light: Densities, mpp: float) -> Flags:
    """Return grey shadows and lines that reach the picture's border and run along it.

    They are 3 mm long, or a third of the picture where that is smaller, and most of them lies within 2 mm of the
    border, or a tenth of the picture. Our choice throughout.
    """
    dark = (light.grey > 0.06) & (light.colour < 0.3 * light.grey)
    rim = max(1, round(40 / mpp))
    pieces, count = ndimage.label(grown(dark), _CORNERS)
    if not count:
        return dark
    border = np.concatenate(
        [pieces[:rim].ravel(), pieces[-rim:].ravel(), pieces[:, :rim].ravel(), pieces[:, -rim:].ravel()]
    )
    within = np.ones(dark.shape, bool)
    deep = max(1, round(min(2000 / mpp, 0.1 * min(dark.shape))))
    within[deep:-deep, deep:-deep] = False
    areas = np.bincount(pieces.ravel())
    near = np.bincount(pieces[within], minlength=count + 1) > 0.7 * areas
    wanted = min(3000 / mpp, min(dark.shape) / 3)
    long = [False] + [max(s.stop - s.start for s in place) >= wanted for place in ndimage.find_objects(pieces)]
    touching = np.zeros(count + 1, bool)
    touching[border] = True
    touching[0] = False
    return np.asarray((touching & near & long)[pieces])


def bubbles(light: Densities, ink: Flags, mpp: float) -> Flags:
    """Return what a thin, closed, grey line surrounds, with the line: an area of 60,000 µm² at least, and roundish.

    Its longer side is at most twice the shorter, and it fills half of the box around it. Our choice throughout.
    """
    line = (light.grey > 0.05) & (light.colour < 0.3 * light.grey) & ~ink
    pieces, _ = ndimage.label(grown(line), _CORNERS)
    found = np.zeros(line.shape, bool)
    for index, place in enumerate(ndimage.find_objects(pieces), start=1):
        height, width = (s.stop - s.start for s in place)
        if min(height, width) * mpp < 200 or max(height, width) > 2 * min(height, width):
            continue
        own = pieces[place] == index
        whole = ndimage.binary_fill_holes(own)
        inside = int(whole.sum()) - int(own.sum())
        if inside * mpp**2 >= 60_000 and inside > own.sum() and whole.sum() > 0.5 * height * width:
            found[place] |= whole
    return found


def folds(light: Densities, tissue: Flags, mpp: float) -> Flags:
    """Return long dark bands of tissue that lies double: every channel takes about twice what it does around.

    Nuclei packed closely take more red but hardly more blue, blood more blue but hardly more red. A band is at most
    300 µm wide, at least 2.5 times as long as it is wide, and takes at least 1.5, 1.75 and 1.85 times the red, green
    and blue of the tissue within 300 µm, and of blue as many times as of green, or 2.2 times of both.
    Our choice throughout, from folds on real slides.
    """
    taken_blue = np.where(tissue, light.channel(2), 0)
    dark = tissue & (
        ndimage.uniform_filter(taken_blue, 3, mode="nearest")
        > np.maximum(1.45 * _around(taken_blue, tissue, mpp), 0.12)
    )
    pieces, _ = ndimage.label(dark, _CORNERS)
    found = np.zeros(tissue.shape, bool)
    large = np.bincount(pieces.ravel()) * mpp**2 >= 4000
    for index, box in enumerate(ndimage.find_objects(pieces), start=1):
        if not large[index]:
            continue
        place = _with_margin(box, round(300 / mpp))
        own = pieces[place] == index
        width = 2 * float(ndimage.distance_transform_edt(np.pad(own, 1)).max())
        if width * mpp > 300 or own.sum() < 2.5 * width**2:
            continue
        taken, other = light.channels(place), tissue[place] & ~own
        red, green, blue = taken[:, own].mean(axis=1) / np.maximum(taken[:, other].mean(axis=1), 1e-3)
        alike = blue >= 0.98 * green or min(green, blue) >= 2.2
        if red >= 1.5 and green >= 1.75 and blue >= 1.85 and alike:
            found[place] |= grown(own) & tissue[place]
    return found


def _with_margin(place: tuple[slice, ...], margin: int) -> tuple[slice, ...]:
    return tuple(slice(max(0, side.start - margin), side.stop + margin) for side in place)


def _around(values: Plane, tissue: Flags, mpp: float) -> Plane:
    """Mean over the tissue within 300 µm, from every fourth row and column."""
    thin = slice(None, None, 4), slice(None, None, 4)
    side = 2 * round(75 / mpp) + 1
    share = ndimage.uniform_filter(tissue[thin].astype(np.float32), side, mode="constant")
    mean = ndimage.uniform_filter(values[thin], side, mode="constant") / np.maximum(share, 1e-3)
    return enlarged(mean, 4, values.shape)

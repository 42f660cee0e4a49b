"""Tissue, glass and pen marks from an overview of a slide.

Tissue is what is *coloured* against the slide's own glass: the difference between the strongest and the weakest
absorbed channel, in optical density. Grey does not count, so shadows, dust, bubbles, the edge of the cover slip and
compressed glass stay glass, however dark.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_pathlupi.core.tissue import GLASS, PEN, TISSUE, TissueMask

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TissueConfig:
    """What counts as tissue.

    Parameters
    ----------
    min_piece_um2
        Smaller pieces of tissue are specks and become glass. Our choice: a square of 200 µm.
    min_hole_um2
        Smaller holes (fat cells, lumina) are filled. Our choice: the same.
    blur_um
        The overview is averaged over a square of this side first, so that a net of thin fat septa is one piece.
    threshold
        Least and greatest coloured optical density at which glass may end. Otsu's threshold is held between them: on
        a slide of nothing but glass it falls into the noise, on one of nothing but tissue between nuclei and stroma.
        Our choice.
    find_pen
        Whether to look for pen marks.
    """

    min_piece_um2: float = 40_000.0
    min_hole_um2: float = 40_000.0
    blur_um: float = 40.0
    threshold: tuple[float, float] = (0.025, 0.06)
    find_pen: bool = True


def find_tissue(
    overview: Picture, step_px0: tuple[float, float], mpp_overview: float, config: TissueConfig | None = None
) -> TissueMask:
    """Return what lies where on a slide: glass, tissue or pen marks.

    Deterministic. Overviews are meant to be made at one scale (8 µm/px), whatever the size of the slide, so that the
    same tissue gets the same mask on a small slide and on a large one.

    Parameters
    ----------
    overview
        (height, width, 3) RGB of the whole slide.
    step_px0
        Height and width of an overview pixel in level-0 pixels.
    mpp_overview
        µm per overview pixel.
    config
        What counts; the defaults fit haematoxylin and eosin.
    """
    config = config or TissueConfig()
    colour, sure, faint = _colour_and_ink(overview)
    pen = _strokes(sure, faint, mpp_overview) if config.find_pen else np.zeros_like(sure)
    colour[pen] = 0
    colour = ndimage.uniform_filter(colour, max(1, round(config.blur_um / mpp_overview)), mode="nearest")
    tissue = (colour > np.clip(otsu_threshold(colour[~pen]), *config.threshold)) & ~pen
    tissue = _drop_small(tissue, config.min_piece_um2 / mpp_overview**2)
    between = _inked_pieces(tissue, pen, faint)
    pen, tissue = pen | between, tissue & ~between
    tissue |= ~pen & ~_drop_small(~tissue, config.min_hole_um2 / mpp_overview**2)
    classes = np.where(pen, PEN, np.where(tissue, TISSUE, GLASS)).astype(np.uint8)
    return TissueMask(classes, step_px0)


def is_dark(overview: Picture) -> bool:
    """Whether the background is black, as in fluorescence: half of what is not padding is darker than 64 of 255."""
    brightest = overview.max(axis=2)
    pixels = brightest[overview.min(axis=2) < 255]
    return bool(pixels.size) and float(np.median(pixels)) < 64


def otsu_threshold(values: Plane) -> float:
    """Return the value that parts the values into two classes as different as can be.

    Otsu, IEEE Transactions on Systems, Man and Cybernetics 9 (1979) 62-66, on 256 bins between 0 and 1.
    """
    counts, edges = np.histogram(values, bins=256, range=(0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    between = (sums[:-1] * above - (sums[-1] - sums[:-1]) * below) ** 2 / np.maximum(1, below * above)
    return float(edges[1 + np.argmax(between)])


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


def _colour_and_ink(overview: Picture) -> tuple[Plane, Flags, Flags]:
    """Coloured optical density, and where a pixel is surely ink, and perhaps ink: hues that H&E cannot mix.

    Haematoxylin and eosin take more green than red and much more green than blue. Green and blue ink take more red
    than green; red ink hardly any red, but blue as much as green; black takes all alike. All bounds are our choice.
    """
    table = _density_table(overview)
    colour = np.empty(overview.shape[:2], np.float32)
    sure, faint = np.empty((2, *overview.shape[:2]), bool)
    for top in range(0, len(overview), 64):  # a strip fits the processor's cache
        rows = slice(top, top + 64)
        red, green, blue = (table[overview[rows, :, channel], channel] for channel in range(3))
        strongest, weakest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        np.subtract(strongest, weakest, out=colour[rows])
        cold, pink, grey = red > green, (red < 0.25 * green) & (blue > 0.62 * green), weakest > 0.58 * strongest
        flat = (blue > 0.75 * green) & (blue < 1.15 * green)
        sure[rows] = (red > 0.15) & (red > 1.02 * green) | (green > 0.35) & flat
        faint[rows] = (red > 0.06) & cold | (green > 0.12) & (pink | grey)
    return colour, sure, faint


def _strokes(sure: Flags, faint: Flags, mpp: float) -> Flags:
    """Pen: solid faint ink within 120 µm of solid sure ink that it touches, from 20,000 µm² on; a margin of 16 µm."""
    core = _solid(sure, 40 / mpp)
    if not core.any():
        return core
    pieces, _ = ndimage.label(core | _solid(faint, 40 / mpp) & ndimage.maximum_filter(core, 2 * round(120 / mpp) + 1))
    areas = np.bincount(pieces.ravel())
    inked = np.bincount(pieces[core], minlength=len(areas)) > 0
    strokes = (inked & (areas >= 20_000 / mpp**2))[pieces]
    return np.asarray(ndimage.maximum_filter(strokes, 2 * max(1, round(16 / mpp)) + 1))


def _inked_pieces(tissue: Flags, pen: Flags, faint: Flags) -> Flags:
    """Pieces of tissue that touch a stroke and are nearly all faint ink: the stroke itself, between its sure parts."""
    pieces, _ = ndimage.label(tissue)
    areas = np.maximum(1, np.bincount(pieces.ravel()))
    inked = np.bincount(pieces[faint], minlength=len(areas)) > 0.7 * areas
    touching = np.bincount(pieces[ndimage.binary_dilation(pen, iterations=2)], minlength=len(areas)) > 0
    touching[0] = False
    return np.asarray((inked & touching)[pieces])


def _solid(flags: Flags, side: float) -> Flags:
    """Where most of a square around a pixel is set."""
    return np.asarray(ndimage.uniform_filter(flags.astype(np.float32), max(1, round(side))) > 0.5)


def _drop_small(flags: Flags, cells: float) -> Flags:
    """The same without pieces (4-connected) of fewer cells."""
    labels, _ = ndimage.label(flags)
    large = np.bincount(labels.ravel()) >= cells
    large[0] = False
    return large[labels]

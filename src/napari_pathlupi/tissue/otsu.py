"""Tissue, glass and artefacts from an overview of a slide.

Tissue is what is *coloured* against the slide's own glass: the difference between the strongest and the weakest
absorbed channel, in optical density. Grey does not count, so shadows, dust, bubbles, the edge of the cover slip and
compressed glass stay glass, however dark.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_pathlupi.core.tissue import BUBBLE, EDGE, FAT, FOLD, GLASS, NAMES, PENS, TISSUE, TissueMask
from napari_pathlupi.errors import SettingsError
from napari_pathlupi.tissue._artefacts import bubbles, folds, slide_edge
from napari_pathlupi.tissue._density import Picture, Plane, densities, drop_small
from napari_pathlupi.tissue._pale import pale
from napari_pathlupi.tissue._pen import colours, inked_pieces, strokes

_PEN = "pen"
"""What the pens of all colours are called together."""


@dataclass(frozen=True, slots=True)
class TissueConfig:
    """What counts as tissue.

    Parameters
    ----------
    min_piece_um2
        Smaller pieces of tissue are specks and become glass. Our choice: a square of 200 µm.
    min_hole_um2
        Smaller holes (fat cells, lumina) are filled. Our choice: the same.
    smooth_um
        The overview is averaged over a square of this side first, so that a net of thin fat septa is one piece.
    threshold
        Least and greatest coloured optical density at which glass may end. Otsu's threshold is held between them: on
        a slide of nothing but glass it falls into the noise, on one of nothing but tissue between nuclei and stroma.
        Our choice.
    excluded
        What is not tiled, of pen, slide edge, bubble, blur, fold, fat; the others count as tissue where they are
        found. Fat is tissue, and the demo model learned with it. Our choice.
    focus_windows
        About how many windows of 128 µm are read to find blur, at most; 0 looks for none.
    """

    min_piece_um2: float = 40_000.0
    min_hole_um2: float = 40_000.0
    smooth_um: float = 40.0
    threshold: tuple[float, float] = (0.025, 0.06)
    excluded: tuple[str, ...] = (_PEN, *NAMES[EDGE:FAT])
    focus_windows: int = 100

    def __post_init__(self) -> None:
        known = _PEN, *NAMES[EDGE:]
        for name in self.excluded:
            if name not in known:
                raise SettingsError(f"{name!r} cannot be excluded from tissue: name some of {', '.join(known)}.")

    @property
    def counted(self) -> tuple[int, ...]:
        """The classes that are tissue."""
        kinds = ((i, _PEN if i in PENS else name) for i, name in enumerate(NAMES))
        return tuple(i for i, kind in kinds if i != GLASS and kind not in self.excluded)


def find_tissue(
    overview: Picture, step_px0: tuple[float, float], mpp_overview: float, config: TissueConfig | None = None
) -> TissueMask:
    """Return what lies where on a slide; blur apart, which an overview does not show.

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
    light, mpp = densities(overview), mpp_overview
    edge = slide_edge(light, mpp)
    pen = strokes(light, mpp) & ~edge
    colour = np.where(pen | edge, 0, light.colour)
    colour = ndimage.uniform_filter(colour, max(1, round(config.smooth_um / mpp)), mode="nearest")
    tissue = (colour > np.clip(otsu_threshold(colour[::2, ::2][~pen[::2, ::2]]), *config.threshold)) & ~pen & ~edge
    tissue = drop_small(tissue, config.min_piece_um2 / mpp**2)
    faint, fat = pale(colour, light, tissue, pen | edge, mpp)
    dense, tissue = tissue, tissue | faint & ~(pen | edge)
    between = inked_pieces(tissue, pen, light)
    pen, tissue = pen | between, tissue & ~between
    tissue |= ~pen & ~edge & ~drop_small(~tissue, config.min_hole_um2 / mpp**2)
    classes = np.where(tissue, TISSUE, np.where(fat, FAT, GLASS)).astype(np.uint8)
    classes[folds(light, dense & ~pen, mpp)] = FOLD
    classes[bubbles(light, pen | edge, mpp)] = BUBBLE
    classes[edge] = EDGE
    return TissueMask(np.where(pen, colours(pen, tissue, light, mpp), classes), step_px0, config.counted)


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

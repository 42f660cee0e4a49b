"""Which parts of a slide are tissue."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.outlines import filled, outlines

GLASS, TISSUE, RED_PEN, GREEN_PEN, BLUE_PEN, BLACK_PEN, EDGE, BUBBLE, BLUR, FOLD, FAT = range(11)
NAMES = (
    "glass",
    "tissue",
    "red pen",
    "green pen",
    "blue pen",
    "black pen",
    "slide edge",
    "bubble",
    "blur",
    "fold",
    "fat",
)
"""What the numbers in a mask mean."""
PENS = (RED_PEN, GREEN_PEN, BLUE_PEN, BLACK_PEN)

FOUND, BY_HAND = "found on the overview", "edited by hand"
"""Where a mask comes from; one that was read from a file names it."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueMask:
    """What lies where on a slide, on a coarse raster that begins at its top-left corner.

    Parameters
    ----------
    classes
        (rows, columns) uint8, index into `NAMES`; a larger number, as a person may paint it, counts as tissue.
    step_px0
        Height and width of a cell in level-0 pixels.
    counted
        The classes that are tissue to whoever asks where tiles may lie.
    origin
        Where the mask comes from, for the provenance.
    """

    classes: npt.NDArray[np.uint8]
    step_px0: tuple[float, float]
    counted: tuple[int, ...] = (TISSUE,)
    origin: str = FOUND

    @classmethod
    def within(
        cls,
        areas: Iterable[BaseGeometry],
        shape_px0: tuple[int, int],
        step_px0: tuple[float, float],
        origin: str,
    ) -> "TissueMask":
        """Return the mask whose tissue is every cell with its centre in one of the areas.

        Parameters
        ----------
        areas
            Polygons in level-0 pixels; x and y as shapely has them.
        shape_px0
            Height and width of the slide in level-0 pixels.
        step_px0
            Height and width of a cell.
        origin
            Where the areas come from.
        """
        rows, columns = (int(np.ceil(side / step - 1e-6)) for side, step in zip(shape_px0, step_px0, strict=True))
        flags = filled(areas, (rows, columns), step_px0)
        return cls(np.where(flags, TISSUE, GLASS).astype(np.uint8), step_px0, origin=origin)

    @property
    def by_hand(self) -> bool:
        """Whether a person painted it."""
        return self.origin == BY_HAND

    def covers(self, shape_px0: tuple[int, int]) -> bool:
        """Return whether the raster is one over a slide of that height and width."""
        sides = zip(self.classes.shape, self.step_px0, shape_px0, strict=True)
        return all(cells == int(np.ceil(side / step - 1e-6)) for cells, step, side in sides)

    @property
    def tissue(self) -> npt.NDArray[np.bool_]:
        """(rows, columns) where there is tissue."""
        counts = np.ones(256, bool)
        counts[: len(NAMES)] = np.isin(np.arange(len(NAMES)), self.counted)
        return np.asarray(counts[self.classes])

    def shares(self) -> dict[str, float]:
        """Return the share of the area of each class."""
        counts = np.bincount(self.classes.ravel(), minlength=len(NAMES))
        counts[TISSUE] += counts[len(NAMES) :].sum()
        return {name: float(count) / self.classes.size for name, count in zip(NAMES, counts, strict=False)}

    @property
    def words(self) -> str:
        """The share of each class that is there: "glass 61 %, tissue 37 %, slide edge 1 %, blue pen < 1 %"."""
        shares = sorted(self.shares().items(), key=lambda pair: -pair[1])
        return ", ".join(f"{name} {_percent(share)}" for name, share in shares if share > 0)

    def pieces(self) -> npt.NDArray[np.int32]:
        """(rows, columns) number of the piece of tissue that a cell belongs to, from 1 in reading order; 0 for none.

        Cells that touch at a corner are one piece; so is what only a fold, a blurred part or fat divides.
        """
        tissue = self.tissue
        joined = tissue | np.isin(self.classes, (BLUR, FOLD, FAT))
        labels = np.where(tissue, ndimage.label(joined, np.ones((3, 3)))[0], 0)
        known = np.unique(labels)
        number = np.zeros(int(known[-1]) + 1, np.int32)
        number[known[known > 0]] = np.arange(1, np.count_nonzero(known) + 1)
        return np.asarray(number[labels])

    def piece_areas_px0(self) -> npt.NDArray[np.float64]:
        """(pieces,) area of each piece of tissue in level-0 pixels, in the order of `pieces`."""
        counts = np.bincount(self.pieces().ravel(), minlength=1)[1:]
        return np.asarray(counts * self.step_px0[0] * self.step_px0[1])

    def outlines(self) -> dict[int, list[BaseGeometry]]:
        """Return the polygons, with holes, around each piece of tissue by its number, in level-0 pixels (x, y).

        `within` makes the same tissue of them again, cell by cell.
        """
        pieces = self.pieces()
        found: dict[int, list[BaseGeometry]] = {}
        for cell, polygon in outlines(pieces > 0, self.step_px0):
            found.setdefault(int(pieces[cell]), []).append(polygon)
        return dict(sorted(found.items()))

    def edited(self, classes: npt.NDArray[np.integer]) -> "TissueMask":
        """Return the mask that a person made of this one."""
        kept = np.where((classes >= 0) & (classes < len(NAMES)), classes, TISSUE)
        return replace(self, classes=kept.astype(np.uint8), origin=BY_HAND)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "< 1 %"

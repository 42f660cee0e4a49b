"""Which parts of a slide are tissue."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GLASS, TISSUE, PEN = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class TissueMask:
    """What lies where on a slide, on a coarse raster that begins at its top-left corner.

    Parameters
    ----------
    classes
        (rows, columns) uint8, index into ``names``.
    step_px0
        Height and width of a cell in level-0 pixels.
    names
        What the numbers mean; 0 is glass, 1 tissue.
    """

    classes: npt.NDArray[np.uint8]
    step_px0: tuple[float, float]
    names: tuple[str, ...] = ("glass", "tissue", "pen marks")

    @property
    def tissue(self) -> npt.NDArray[np.bool_]:
        """(rows, columns) where there is tissue."""
        return np.asarray(self.classes == TISSUE)

    def shares(self) -> dict[str, float]:
        """Return the share of the area of each class."""
        counts = np.bincount(self.classes.ravel(), minlength=len(self.names))
        return {name: float(count) / self.classes.size for name, count in zip(self.names, counts, strict=True)}

"""Places on a slide and how they are counted.

Level-0 coordinates are continuous: pixel ``i`` covers ``[i, i + 1)``, so a corner of the slide is (0, 0) and
``_um = _px0 * mpp`` holds everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.errors import SlideError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mpp:
    """Micrometres per pixel of level 0, and who says so.

    Parameters
    ----------
    y, x
        µm per pixel along each axis, exact, never snapped to 20x or 40x.
    source
        Where the numbers come from, in words for the panel ("Aperio header", "stated by the user").
    """

    y: float
    x: float
    source: str

    def __post_init__(self) -> None:
        if not (0.01 < self.y < 1000 and 0.01 < self.x < 1000):
            raise SlideError(
                f"{self.y:g} x {self.x:g} µm per pixel ({self.source}) is not the scale of a slide: "
                "something between 0.05 and 100 is; give the right value with --mpp or in the panel."
            )

    @property
    def mean(self) -> float:
        """µm per pixel, mean of both axes."""
        return (self.y + self.x) / 2


@dataclass(frozen=True, slots=True)
class Level:
    """One stored resolution of a slide.

    Parameters
    ----------
    shape_px
        Height and width in the pixels of this level.
    downsample
        Level-0 pixels per pixel of this level; a float, whole only where the file means a whole number.
    """

    shape_px: tuple[int, int]
    downsample: float


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle on a slide.

    Parameters
    ----------
    origin_px0
        Top-left corner (y, x), level-0 pixels, fractions allowed.
    shape_px0
        Height and width in level-0 pixels.
    """

    origin_px0: tuple[float, float]
    shape_px0: tuple[float, float]

    def __post_init__(self) -> None:
        if min(self.shape_px0) <= 0:
            raise ValueError(f"a region needs a height and a width above 0, got {self.shape_px0}")


@dataclass(frozen=True, slots=True)
class SlideFrame:
    """Converts between level-0 pixels, µm and the pixels that QuPath counts.

    Parameters
    ----------
    shape_px0
        Height and width of level 0.
    mpp
        Size of a pixel, or None while nobody knows it.
    bounds_px0
        The scanned part when the file declares one: QuPath crops OpenSlide images to it and counts from its corner.
    """

    shape_px0: tuple[int, int]
    mpp: Mpp | None
    bounds_px0: Region | None = None

    def world_per_px0(self) -> FloatArray:
        """(2,) world units per level-0 pixel (y, x): µm, or pixels while the size of a pixel is unknown."""
        return np.array([self.mpp.y, self.mpp.x]) if self.mpp else np.ones(2)

    def qupath_from_px0(self, points_px0: npt.ArrayLike) -> FloatArray:
        """(…, 2) points as **(x, y)** in the image as QuPath opens it."""
        points = np.asarray(points_px0, dtype=np.float64) - self._qupath_origin()
        return points[..., ::-1]

    def px0_from_qupath(self, points_xy: npt.ArrayLike) -> FloatArray:
        """(…, 2) level-0 points (y, x) from QuPath's **(x, y)**."""
        return np.asarray(points_xy, dtype=np.float64)[..., ::-1] + self._qupath_origin()

    def _qupath_origin(self) -> FloatArray:
        return np.array(self.bounds_px0.origin_px0 if self.bounds_px0 else (0.0, 0.0))


def downsample_of(shape_px0: Sequence[int], shape_px: Sequence[int]) -> float:
    """Level-0 pixels per pixel of a level, from the two shapes.

    A whole number when both sides agree with it to the pixel that a writer drops or adds (then the writer meant it);
    otherwise the mean ratio, unrounded. Our choice, and QuPath's.
    """
    ratio = (shape_px0[0] / shape_px[0] + shape_px0[1] / shape_px[1]) / 2
    whole = round(ratio)
    if whole >= 1 and all(s0 // whole <= s <= -(-s0 // whole) for s0, s in zip(shape_px0, shape_px, strict=True)):
        return float(whole)
    return ratio

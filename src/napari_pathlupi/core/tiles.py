"""Where the tiles of a slide lie."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.geometry import Mpp, Region
from napari_pathlupi.core.results import Heatmap


@dataclass(frozen=True, slots=True, eq=False)
class TileGrid:
    """Equal squares on one slide, in reading order.

    Parameters
    ----------
    cells
        (N, 2) row and column of each tile in the raster, int64.
    raster_shape
        Rows and columns of the raster that covers the slide.
    stride_px0
        Distance (y, x) between neighbouring tiles in level-0 pixels, a float: never rounded, so that tile ``i`` of a
        row begins at exactly ``i * stride``.
    tile_px
        Side of a tile as the patch encoder sees it, in pixels.
    mpp
        µm per pixel of those pixels.
    slide_mpp
        µm per pixel of the slide's level 0.
    coverage
        (N,) share of each tile that is tissue, 0 to 1, float32.
    """

    cells: npt.NDArray[np.int64]
    raster_shape: tuple[int, int]
    stride_px0: tuple[float, float]
    tile_px: int
    mpp: float
    slide_mpp: Mpp
    coverage: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.cells.ndim != 2 or self.cells.shape[1] != 2 or self.coverage.shape != self.cells.shape[:1]:
            raise ValueError(f"cells {self.cells.shape} must be (N, 2) and coverage {self.coverage.shape} (N,)")
        self.cells.setflags(write=False)
        self.coverage.setflags(write=False)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def origins_px0(self) -> npt.NDArray[np.float64]:
        """(N, 2) top-left corners (y, x), level-0 pixels."""
        return np.asarray(self.cells * np.array(self.stride_px0))

    @property
    def side_px0(self) -> tuple[float, float]:
        """Height and width of a tile in level-0 pixels."""
        return self.tile_px * self.mpp / self.slide_mpp.y, self.tile_px * self.mpp / self.slide_mpp.x

    @property
    def tile_um(self) -> float:
        """Side of a tile in µm."""
        return self.tile_px * self.mpp

    def region(self, index: int) -> Region:
        """Return the square of one tile."""
        y, x = self.origins_px0[index]
        return Region((float(y), float(x)), self.side_px0)

    def subset(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "TileGrid":
        """Return the same grid with only the chosen tiles."""
        return TileGrid(
            self.cells[chosen].copy(),
            self.raster_shape,
            self.stride_px0,
            self.tile_px,
            self.mpp,
            self.slide_mpp,
            self.coverage[chosen].copy(),
        )

    def raster(self, values: npt.NDArray[np.floating], quantity: str) -> Heatmap:
        """Return one value per tile as a map; NaN where there is no tile."""
        if values.shape != (len(self),):
            raise ValueError(f"one value per tile is needed: {len(self)} tiles, values of shape {values.shape}")
        picture = np.full(self.raster_shape, np.nan, dtype=np.float32)
        picture[self.cells[:, 0], self.cells[:, 1]] = values
        return Heatmap(picture, (0.0, 0.0), self.stride_px0, quantity)

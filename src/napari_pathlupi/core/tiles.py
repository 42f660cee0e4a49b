"""Where the tiles of a slide lie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.geometry import Mpp, Region
from napari_pathlupi.core.results import Heatmap
from napari_pathlupi.core.tissue import TissueMask

FloatArray = npt.NDArray[np.float64]


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

    @classmethod
    def over(
        cls,
        mask: TissueMask,
        shape_px0: tuple[int, int],
        slide_mpp: Mpp,
        tile_px: int,
        mpp: float,
        min_coverage: float = 0.5,
    ) -> "TileGrid":
        """Return the tiles of a slide that hold enough tissue, edge to edge, in reading order.

        Parameters
        ----------
        mask
            Where the tissue is.
        shape_px0
            Height and width of the slide in level-0 pixels. Tiles begin inside it and may hang over its right and
            lower edge; what lies outside is no tissue.
        slide_mpp
            Size of a level-0 pixel.
        tile_px, mpp
            Side of a tile as the patch encoder sees it, in pixels, and their µm per pixel.
        min_coverage
            Least share of a tile's area that must be tissue, exact to a fraction of a mask cell; a tile with none is
            never kept.

        Raises
        ------
        ValueError
            When the tile or its scale is not above 0.
        """
        if min(tile_px, mpp) <= 0:
            raise ValueError(f"tile_px {tile_px} and mpp {mpp} must be above 0")
        side = tile_px * mpp / slide_mpp.y, tile_px * mpp / slide_mpp.x
        coverage = _coverage(mask, shape_px0, side)
        cells = np.argwhere((coverage >= min_coverage - 1e-6) & (coverage > 0)).astype(np.int64)
        kept = coverage[cells[:, 0], cells[:, 1]].astype(np.float32)
        return cls(cells, coverage.shape, side, tile_px, mpp, slide_mpp, kept)

    def within(
        self, regions: Sequence[BaseGeometry], shape_px0: tuple[int, int], min_coverage: float = 0.5
    ) -> "TileGrid":
        """Return the tiles that lie in any of the regions.

        The coverage of each becomes its tissue times the share of its area on the slide that lies in a region (our
        choice: exact where tissue fills the tile evenly), and those below ``min_coverage`` are dropped.

        Parameters
        ----------
        regions
            Polygons in level-0 pixels; x and y as shapely has them, so a vertex is (x, y). One that crosses itself
            is first made valid.
        shape_px0
            Height and width of the slide in level-0 pixels.
        min_coverage
            Least coverage, as in `over`.
        """
        top, left = self.origins_px0.T
        bottom = np.minimum(top + self.side_px0[0], shape_px0[0])
        right = np.minimum(left + self.side_px0[1], shape_px0[1])
        tiles = shapely.box(left, top, right, bottom)
        union = shapely.union_all(shapely.make_valid(np.array(regions, dtype=object)))
        shapely.prepare(union)
        share = shapely.covers(union, tiles).astype(np.float64)
        edge = shapely.intersects(union, tiles) & (share == 0)
        share[edge] = shapely.area(shapely.intersection(union, tiles[edge])) / shapely.area(tiles[edge])
        coverage = (self.coverage * share).astype(np.float32)
        kept = (coverage >= min_coverage - 1e-6) & (coverage > 0)
        return replace(self, cells=self.cells[kept], coverage=coverage[kept])

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

    def raster(self, values: npt.NDArray[np.floating], quantity: str) -> Heatmap:
        """Return one value per tile as a map; NaN where there is no tile."""
        if values.shape != (len(self),):
            raise ValueError(f"one value per tile is needed: {len(self)} tiles, values of shape {values.shape}")
        picture = np.full(self.raster_shape, np.nan, dtype=np.float32)
        picture[self.cells[:, 0], self.cells[:, 1]] = values
        return Heatmap(picture, (0.0, 0.0), self.stride_px0, quantity)


def _coverage(mask: TissueMask, shape_px0: tuple[int, int], side_px0: tuple[float, float]) -> FloatArray:
    """The share of each square of a raster over the slide that is tissue."""
    bounds = []
    for length, extent, cell in zip(side_px0, shape_px0, mask.step_px0, strict=True):
        starts = np.arange(math.ceil(extent / length - 1e-9)) * length
        bounds.append(np.minimum(np.stack([starts, starts + length]), extent) / cell)
    cells_of_tissue = _integral(_integral(mask.tissue, bounds[0]).T, bounds[1]).T
    return cells_of_tissue * (mask.step_px0[0] * mask.step_px0[1] / (side_px0[0] * side_px0[1]))


def _integral(cells: npt.NDArray[np.bool_] | FloatArray, bounds: FloatArray) -> FloatArray:
    """(tiles, columns) sums of the rows between two fractional bounds (2, tiles), each row worth its share."""
    bounds = np.clip(bounds, 0, len(cells))
    whole = np.floor(bounds).astype(np.int64)
    running = np.zeros((len(cells) + 1, cells.shape[1]), np.float64 if cells.dtype == np.float64 else np.int32)
    np.cumsum(cells, axis=0, out=running[1:])
    begun = cells[np.minimum(whole, len(cells) - 1)]
    below_end = running[whole] + (bounds - whole)[..., None] * begun
    return np.asarray(below_end[1] - below_end[0])

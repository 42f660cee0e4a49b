"""Where the tiles of a slide lie, and values of theirs as a map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from napari_pathlupi.core.coverage import coverage, pieces_under
from napari_pathlupi.core.geometry import Mpp, Region
from napari_pathlupi.core.lattice import Lattice
from napari_pathlupi.core.tissue import TissueMask

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """One value per cell of a regular raster over the slide.

    Parameters
    ----------
    values
        (rows, columns) float32; NaN, never 0, for "not looked at".
    origin_px0
        Top-left corner (y, x) of cell (0, 0), level-0 pixels.
    step_px0
        Height and width of a cell in level-0 pixels, floats.
    quantity
        What the values are, in words.
    """

    values: npt.NDArray[np.float32]
    origin_px0: tuple[float, float]
    step_px0: tuple[float, float]
    quantity: str


@dataclass(frozen=True, slots=True, eq=False)
class TileGrid:
    """Equal squares on one slide, wherever each of them lies, and the raster on which their values are drawn.

    Parameters
    ----------
    origins_px0
        (N, 2) exact top-left corner (y, x) of each tile, level-0 pixels, float64.
    tile_px
        Side of a tile as the patch encoder sees it, in pixels.
    mpp
        µm per pixel of those pixels.
    slide_mpp
        µm per pixel of the slide's level 0.
    coverage
        (N,) share of each tile that is tissue, 0 to 1, float32; 1 where only other software knows.
    stride_px0
        Height and width of a cell of the raster: the distance (y, x) between neighbouring tiles, never rounded.
    raster_shape
        Rows and columns of the raster.
    raster_origin_px0
        Its top-left corner. A cell has the centre of its tile in its own centre, so of overlapping tiles each has one.
    tissue_ids
        (N,) which piece of tissue each tile lies on, from 1, 0 for none, int32; None when nobody looked.
    """

    origins_px0: FloatArray
    tile_px: int
    mpp: float
    slide_mpp: Mpp
    coverage: npt.NDArray[np.float32]
    stride_px0: tuple[float, float]
    raster_shape: tuple[int, int]
    raster_origin_px0: tuple[float, float] = (0.0, 0.0)
    tissue_ids: npt.NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        count = len(self.origins_px0)
        if self.origins_px0.shape != (count, 2) or self.coverage.shape != (count,):
            raise ValueError(f"origins {self.origins_px0.shape} must be (N, 2) and coverage {self.coverage.shape} (N,)")
        if self.tissue_ids is not None and self.tissue_ids.shape != (count,):
            raise ValueError(f"tissue ids {self.tissue_ids.shape} must be one per tile, {count}")
        for values in (self.origins_px0, self.coverage, self.tissue_ids):
            if values is not None:
                values.setflags(write=False)

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
        """Return the tiles of a slide that hold enough tissue, edge to edge from its corner on, in reading order.

        Parameters
        ----------
        mask
            Where the tissue is.
        shape_px0
            Height and width of the slide in level-0 pixels. Tiles begin inside it and may hang over its right and
            lower edge; what lies outside is no tissue.
        slide_mpp, tile_px, mpp, min_coverage
            As of `on`.

        Raises
        ------
        ValueError
            When the tile or its scale is not above 0.
        """
        if min(tile_px, mpp) <= 0:
            raise ValueError(f"tile_px {tile_px} and mpp {mpp} must be above 0")
        side = tile_px * mpp / slide_mpp.y, tile_px * mpp / slide_mpp.x
        return cls.on(Lattice.even(shape_px0, side, side), mask, slide_mpp, tile_px, mpp, min_coverage)

    @classmethod
    def on(
        cls, lattice: Lattice, mask: TissueMask, slide_mpp: Mpp, tile_px: int, mpp: float, min_coverage: float = 0.5
    ) -> "TileGrid":
        """Return the places of a lattice that hold enough tissue, in reading order.

        Parameters
        ----------
        lattice
            Where tiles may begin, and their size.
        mask
            Where the tissue is.
        slide_mpp
            Size of a level-0 pixel.
        tile_px, mpp
            Side of a tile as the patch encoder sees it, in pixels, and their µm per pixel.
        min_coverage
            Least share of a tile's area that must be tissue, exact to a fraction of a mask cell; a tile with none is
            never kept.
        """
        shares = coverage(mask, lattice)
        rows, columns = np.nonzero((shares >= min_coverage - 1e-6) & (shares > 0))
        origins = np.stack([lattice.starts_px0[0][rows], lattice.starts_px0[1][columns]], axis=1)
        covered = shares[rows, columns].astype(np.float32)
        pieces = pieces_under(mask, origins, lattice.side_px0)
        return cls(origins, tile_px, mpp, slide_mpp, covered, lattice.stride_px0, *_raster_over(lattice), pieces)

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
        covered = (self.coverage * self._share_in(regions, shape_px0)).astype(np.float32)
        return replace(self, coverage=covered).take((covered >= min_coverage - 1e-6) & (covered > 0))

    def _share_in(self, regions: Sequence[BaseGeometry], shape_px0: tuple[int, int]) -> FloatArray:
        top, left = self.origins_px0.T
        bottom = np.minimum(top + self.side_px0[0], shape_px0[0])
        right = np.minimum(left + self.side_px0[1], shape_px0[1])
        tiles = shapely.box(left, top, right, bottom)
        union = shapely.union_all(shapely.make_valid(np.array(regions, dtype=object)))
        shapely.prepare(union)
        share: FloatArray = shapely.covers(union, tiles).astype(np.float64)
        edge = shapely.intersects(union, tiles) & (share == 0)
        share[edge] = shapely.area(shapely.intersection(union, tiles[edge])) / shapely.area(tiles[edge])
        return share

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "TileGrid":
        """Return some of the tiles, or all in another order; the raster stays."""
        ids = None if self.tissue_ids is None else self.tissue_ids[chosen]
        return replace(self, origins_px0=self.origins_px0[chosen], coverage=self.coverage[chosen], tissue_ids=ids)

    def outwards_from(self, point_px0: tuple[float, float]) -> npt.NDArray[np.intp]:
        """Return the order (N,), for `take`, in which tiles lie ever farther from a point (y, x), level-0 pixels."""
        centres = self.origins_px0 + np.array(self.side_px0) / 2
        distances = np.hypot(*((centres - point_px0) * (self.slide_mpp.y, self.slide_mpp.x)).T)
        return np.argsort(distances, kind="stable")

    def by_stored_tile(self, stored_px0: tuple[float, float]) -> npt.NDArray[np.intp]:
        """Return the order (N,), for `take`, in which the stored tiles that they begin in are read one after another.

        Parameters
        ----------
        stored_px0
            Height and width of a stored tile, level-0 pixels.
        """
        (rows, columns), (top, left) = (self.origins_px0 // stored_px0).T, self.origins_px0.T
        return np.lexsort((left, top, columns, rows))

    def __len__(self) -> int:
        return len(self.origins_px0)

    @property
    def cells(self) -> npt.NDArray[np.int64]:
        """(N, 2) row and column of the raster's cell that holds the centre of each tile."""
        centres = self.origins_px0 + np.array(self.side_px0) / 2 - self.raster_origin_px0
        cells = np.floor(centres / self.stride_px0).astype(np.int64)
        return np.asarray(np.clip(cells, 0, np.array(self.raster_shape) - 1))

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
        """Return one value per tile as a map: the mean where tiles share a cell, NaN where there is none."""
        if values.shape != (len(self),):
            raise ValueError(f"one value per tile is needed: {len(self)} tiles, values of shape {values.shape}")
        known = ~np.isnan(values)
        rows, columns = self.cells[known].T
        flat, size = rows * self.raster_shape[1] + columns, self.raster_shape[0] * self.raster_shape[1]
        counts = np.bincount(flat, minlength=size)
        sums = np.bincount(flat, weights=values[known], minlength=size)
        means = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        picture = means.astype(np.float32).reshape(self.raster_shape)
        return Heatmap(picture, self.raster_origin_px0, self.stride_px0, quantity)


def _raster_over(lattice: Lattice) -> tuple[tuple[int, int], tuple[float, float]]:
    """Shape and corner of a raster with a cell of one stride around the centre of each place of a lattice."""
    origins = []
    for starts, stride, side in zip(lattice.starts_px0, lattice.stride_px0, lattice.side_px0, strict=True):
        origins.append(float(starts[-1]) - (len(starts) - 1) * stride + (side - stride) / 2)
    rows, columns = (len(starts) for starts in lattice.starts_px0)
    return (rows, columns), (origins[0], origins[1])

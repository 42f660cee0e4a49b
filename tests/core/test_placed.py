"""Tiles that somebody else placed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.placed import placed_tiles
from napari_pathlupi.core.tiles import TileGrid

MPP = Mpp(0.25, 0.25, "test")


def lattice(rows: int, columns: int, stride: float, at: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    return np.argwhere(np.ones((rows, columns))) * stride + at


def placed(origins: np.ndarray, side: float) -> TileGrid:
    return placed_tiles(np.asarray(origins, np.float64), 256, side * 0.25 / 256, MPP)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(4, 6),
    st.integers(4, 9),
    st.floats(0.4, 1.4),
    st.tuples(st.floats(0, 3000), st.floats(0, 3000)),
    st.randoms(use_true_random=False),
)
def test_each_tile_of_one_lattice_has_a_cell_of_its_own_around_its_centre(rows, columns, share, at, random):
    origins = lattice(rows, columns, 512 * share, at)
    kept = np.ones(len(origins), bool)
    kept[random.sample(range(len(origins)), len(origins) // 8)] = False  # few enough that neighbours stay the rule
    grid = placed(origins[kept], 512)
    np.testing.assert_array_equal(grid.origins_px0, origins[kept])
    middles = grid.raster_origin_px0 + (grid.cells + 0.5) * grid.stride_px0
    assert (np.abs(middles - grid.origins_px0 - 256) <= np.array(grid.stride_px0) / 2 + 0.01).all()
    assert len(np.unique(grid.cells, axis=0)) == len(grid)


def test_an_even_grid_gets_the_raster_that_we_lay_ourselves():
    grid = placed(lattice(4, 5, 512.0)[3:], 512.0)
    assert (grid.stride_px0, grid.raster_origin_px0, grid.raster_shape) == ((512, 512), (0, 0), (4, 5))
    assert grid.side_px0 == pytest.approx((512, 512))


def test_a_stride_that_is_no_whole_number_does_not_drift():
    origins = lattice(3, 150, 506.93)
    grid = placed(origins, 506.93)
    assert (grid.cells == np.argwhere(np.ones((3, 150)))).all()


def test_pieces_of_tissue_with_a_lattice_each_keep_their_places():
    first, second = lattice(6, 6, 512.0, (100, 200)), lattice(3, 3, 512.0, (9000, 7333))
    grid = placed(np.concatenate([first, second]), 512)
    assert grid.stride_px0 == (512, 512)
    middles = grid.raster_origin_px0 + (grid.cells + 0.5) * grid.stride_px0
    off = np.abs(middles - grid.origins_px0 - 256)
    assert (off[: len(first)] < 0.01).all()
    assert (off <= 256.01).all()
    assert min(grid.raster_origin_px0) > -512


@pytest.mark.parametrize("origins", [[[0, 0]], [[700, 900]], [[10, 10], [10, 10]], [[10, 10], [13, 13]]])
def test_a_tile_alone_or_on_top_of_another_still_has_a_cell(origins):
    grid = placed(np.array(origins), 512)
    assert grid.stride_px0 == (512, 512)
    assert np.isfinite(grid.raster(np.ones(len(grid), np.float32), "").values).any()


def test_pixels_that_are_not_square_make_tiles_that_are_not():
    grid = placed_tiles(np.zeros((1, 2)), 256, 0.5, Mpp(0.25, 0.5, "test"))
    assert grid.side_px0 == grid.stride_px0 == (512, 256)

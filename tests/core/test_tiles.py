"""Tile grids: exact coverage, exact places."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.lattice import Lattice
from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.core.tissue import BLACK_PEN, GLASS, TISSUE, TissueMask

HALF_MICRON = Mpp(0.5, 0.5, "test")


def mask_from(tissue: np.ndarray, step_px0: tuple[float, float] = (16.0, 16.0)) -> TissueMask:
    return TissueMask(np.where(tissue, TISSUE, GLASS).astype(np.uint8), step_px0)


# Plain numbers: the shape checks draw random numbers of their own, which hypothesis forbids inside a strategy.
slides = st.fixed_dictionaries(
    {
        "shape_px0": st.tuples(st.integers(20, 300), st.integers(20, 300)),
        "step_px0": st.tuples(st.floats(3, 20), st.floats(3, 20)),
        "mpp": st.tuples(st.floats(0.2, 1.0), st.floats(0.2, 1.0)),
        "share": st.floats(0.1, 1.0),
        "seed": st.integers(0, 1000),
    }
)


def slide_from(numbers: dict[str, Any]) -> tuple[TissueMask, tuple[int, int], Mpp]:
    sides = zip(numbers["shape_px0"], numbers["step_px0"], strict=True)
    chance = np.random.default_rng(numbers["seed"]).random([int(np.ceil(side / step)) for side, step in sides])
    return mask_from(chance < numbers["share"], numbers["step_px0"]), numbers["shape_px0"], Mpp(*numbers["mpp"], "test")


def overlap(starts: np.ndarray, ends: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip(np.minimum(ends, high) - np.maximum(starts, low), 0, None)


def coverage_by_hand(mask: TissueMask, shape_px0: tuple[int, int], grid: TileGrid, index: int) -> float:
    """Add up the tissue cells under one tile, one by one, each with its share of area."""
    (top, left), (height, width) = grid.origins_px0[index], grid.side_px0
    rows, columns = (np.arange(n) * step for n, step in zip(mask.classes.shape, mask.step_px0, strict=True))
    high = overlap(rows, rows + mask.step_px0[0], top, min(top + height, shape_px0[0]))
    wide = overlap(columns, columns + mask.step_px0[1], left, min(left + width, shape_px0[1]))
    return float(high @ mask.tissue @ wide / (height * width))


@settings(deadline=None, max_examples=60)
@given(slides, st.floats(0.3, 1.5), st.sampled_from([16, 48, 112]))
def test_coverage_is_the_share_of_area_counted_cell_by_cell(slide, tile_mpp, tile_px):
    mask, shape_px0, mpp = slide_from(slide)
    grid = TileGrid.over(mask, shape_px0, mpp, tile_px, tile_mpp, min_coverage=0.0)
    expected = [coverage_by_hand(mask, shape_px0, grid, i) for i in range(len(grid))]
    np.testing.assert_allclose(grid.coverage, expected, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(slides, st.floats(0, 0.9))
def test_no_tile_with_enough_tissue_is_left_out(slide, least):
    mask, shape_px0, mpp = slide_from(slide)
    every = TileGrid.over(mask, shape_px0, mpp, 32, 0.5, min_coverage=0.0)
    chosen = TileGrid.over(mask, shape_px0, mpp, 32, 0.5, min_coverage=least)
    np.testing.assert_array_equal(chosen.cells, every.cells[every.coverage >= least - 1e-6])


@settings(deadline=None, max_examples=40)
@given(slides)
def test_tiles_stand_in_reading_order_edge_to_edge_and_begin_on_the_slide(slide):
    mask, shape_px0, mpp = slide_from(slide)
    grid = TileGrid.over(mask, shape_px0, mpp, 32, 0.5, min_coverage=0.0)
    assert grid.stride_px0 == grid.side_px0
    np.testing.assert_array_equal(grid.origins_px0, grid.cells * np.array(grid.stride_px0))
    flat = grid.cells[:, 0] * grid.raster_shape[1] + grid.cells[:, 1]
    assert (np.diff(flat) > 0).all()
    assert (grid.origins_px0 < shape_px0).all()
    assert all(
        n * step >= side - 1e-6 for n, step, side in zip(grid.raster_shape, grid.stride_px0, shape_px0, strict=True)
    )


@settings(deadline=None, max_examples=40)
@given(slides, st.floats(0.3, 1.5))
def test_a_region_as_large_as_the_slide_changes_nothing(slide, tile_mpp):
    mask, shape_px0, mpp = slide_from(slide)
    grid = TileGrid.over(mask, shape_px0, mpp, 32, tile_mpp)
    same = grid.within([shapely.box(0, 0, shape_px0[1], shape_px0[0])], shape_px0)
    np.testing.assert_array_equal(same.cells, grid.cells)
    np.testing.assert_allclose(same.coverage, grid.coverage, rtol=1e-5)


def test_a_region_weighs_each_tile_by_the_area_inside_it():
    grid = TileGrid.over(mask_from(np.ones((8, 16))), (128, 256), HALF_MICRON, 64, 0.5)
    region = shapely.Polygon([(0, 0), (96, 0), (96, 48), (0, 48)])  # (x, y): 1.5 tiles wide, 0.75 high
    inside = grid.within([region], (128, 256), min_coverage=0.1)
    np.testing.assert_array_equal(inside.cells, [[0, 0], [0, 1]])
    np.testing.assert_allclose(inside.coverage, [0.75, 0.375])


def test_overlapping_regions_count_once_and_a_crossed_outline_is_read_all_the_same():
    grid = TileGrid.over(mask_from(np.ones((8, 8))), (128, 128), HALF_MICRON, 128, 0.5)
    square = shapely.box(0, 0, 128, 64)
    assert grid.within([square, square], (128, 128)).coverage == pytest.approx(0.5)
    bow_tie = shapely.Polygon([(0, 0), (128, 128), (128, 0), (0, 128)])
    assert grid.within([bow_tie], (128, 128)).coverage == pytest.approx(0.5)


def test_no_region_holds_no_tile():
    grid = TileGrid.over(mask_from(np.ones((8, 8))), (128, 128), HALF_MICRON, 32, 0.5)
    assert len(grid.within([], (128, 128), min_coverage=0.0)) == 0


def test_pen_is_no_tissue():
    mask = TissueMask(np.full((8, 8), BLACK_PEN, np.uint8), (16.0, 16.0))
    assert len(TileGrid.over(mask, (128, 128), HALF_MICRON, 32, 0.5, min_coverage=0.0)) == 0


def test_a_tile_that_hangs_over_the_edge_counts_what_lies_outside_as_white():
    grid = TileGrid.over(mask_from(np.ones((7, 7))), (96, 96), HALF_MICRON, 64, 0.5, min_coverage=0.0)
    assert grid.raster_shape == (2, 2)
    np.testing.assert_allclose(grid.coverage, [1, 0.5, 0.5, 0.25])


def test_the_scale_is_exact_on_both_axes():
    grid = TileGrid.over(mask_from(np.ones((20, 20))), (320, 320), Mpp(0.25, 0.2525, "test"), 256, 0.1)
    assert grid.side_px0 == pytest.approx((102.4, 25.6 / 0.2525))


@pytest.mark.parametrize("wrong", [{"tile_px": 0}, {"mpp": -1.0}])
def test_a_tile_without_size_is_refused(wrong):
    settings = {"tile_px": 32, "mpp": 0.5} | wrong
    with pytest.raises(ValueError, match="above 0"):
        TileGrid.over(mask_from(np.ones((2, 2))), (32, 32), HALF_MICRON, **settings)


@settings(deadline=None, max_examples=30)
@given(slides, st.floats(0.3, 1.0))
def test_overlapping_tiles_each_have_a_cell_around_their_centre_and_are_covered_exactly(slide, share):
    mask, shape_px0, mpp = slide_from(slide)
    side = 16 / mpp.y, 16 / mpp.x
    places = Lattice.even(shape_px0, side, (side[0] * share, side[1] * share))
    grid = TileGrid.on(places, mask, mpp, 32, 0.5, min_coverage=0.0)
    middles = grid.raster_origin_px0 + (grid.cells + 0.5) * grid.stride_px0
    np.testing.assert_allclose(middles, grid.origins_px0 + np.array(grid.side_px0) / 2, atol=1e-6)
    assert len(np.unique(grid.cells, axis=0)) == len(grid)
    expected = [coverage_by_hand(mask, shape_px0, grid, i) for i in range(len(grid))]
    np.testing.assert_allclose(grid.coverage, expected, atol=1e-5)


def test_a_map_holds_the_mean_of_tiles_that_share_a_cell_and_nothing_where_there_is_none():
    origins = np.array([[0, 0], [4, 4], [64, 0], [128, 64.0]])
    grid = TileGrid(origins, 32, 1.0, HALF_MICRON, np.ones(4, np.float32), (64.0, 64.0), (3, 2))
    drawn = grid.raster(np.array([1, 2, np.nan, 5], np.float32), "a value")
    np.testing.assert_array_equal(drawn.values, [[1.5, np.nan], [np.nan, np.nan], [np.nan, 5]])


def test_taking_tiles_in_another_order_keeps_what_belongs_together():
    grid = TileGrid.over(mask_from(np.eye(8)), (128, 128), HALF_MICRON, 32, 0.5, min_coverage=0.0)
    order = grid.outwards_from((0.0, 128.0))
    turned = grid.take(order)
    np.testing.assert_array_equal(turned.raster(turned.coverage, "").values, grid.raster(grid.coverage, "").values)
    distances = np.hypot(*(turned.origins_px0 + 16 - (0.0, 128.0)).T)
    assert (np.diff(distances) >= 0).all()


def test_stored_tiles_are_read_one_after_another():
    grid = TileGrid.over(mask_from(np.ones((16, 16))), (256, 256), HALF_MICRON, 32, 0.5)
    stored = (grid.take(grid.by_stored_tile((96.0, 96.0))).origins_px0 // 96) @ (3, 1)
    assert (np.diff(stored) >= 0).all()
    assert np.count_nonzero(np.diff(stored)) == 8  # each of the nine once


@settings(deadline=None, max_examples=30)
@given(slides, st.sampled_from([16, 48, 112]))
def test_each_tile_lies_on_a_piece_that_is_under_it(slide, tile_px):
    mask, shape_px0, mpp = slide_from(slide)
    grid = TileGrid.over(mask, shape_px0, mpp, tile_px, 0.5, min_coverage=0.0)
    pieces, steps = mask.pieces(), np.array(mask.step_px0)
    for index, piece in enumerate(grid.tissue_ids):
        low = np.floor(grid.origins_px0[index] / steps).astype(int)
        high = np.ceil((grid.origins_px0[index] + grid.side_px0) / steps).astype(int)
        under = set(pieces[low[0] : high[0], low[1] : high[1]].ravel().tolist()) - {0}
        assert piece in under


def test_a_tile_over_two_pieces_lies_on_the_larger_part():
    tissue = np.zeros((8, 16), bool)
    tissue[:, :5], tissue[:, 6:7], tissue[:, 8:] = True, True, True
    grid = TileGrid.over(mask_from(tissue), (128, 256), HALF_MICRON, 128, 0.5)
    np.testing.assert_array_equal(grid.tissue_ids, [1, 3])

"""What lies where, in pieces and as polygons."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_pathlupi.core.outlines import filled
from napari_pathlupi.core.tissue import BLUR, BY_HAND, FAT, FOLD, GLASS, NAMES, RED_PEN, TISSUE, TissueMask

rasters = array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(lambda shape: arrays(np.bool_, shape))
steps = st.tuples(*[st.sampled_from([1.0, 16.0, 31.7])] * 2)


def mask_of(flags: np.ndarray, step_px0: tuple[float, float] = (16.0, 16.0)) -> TissueMask:
    return TissueMask(np.where(flags, TISSUE, GLASS).astype(np.uint8), step_px0)


@given(rasters, steps)
def test_the_outlines_of_any_tissue_make_the_same_tissue_again(flags, step):
    mask = mask_of(flags, step)
    areas = [area for parts in mask.outlines().values() for area in parts]
    assert all(shapely.is_valid(area) for area in areas)
    np.testing.assert_array_equal(filled(areas, flags.shape, step), flags)


@given(rasters, steps)
def test_each_piece_has_outlines_of_its_own(flags, step):
    mask = mask_of(flags, step)
    pieces, outlines = mask.pieces(), mask.outlines()
    assert sorted(outlines) == list(range(1, pieces.max() + 1))
    for number, areas in outlines.items():
        np.testing.assert_array_equal(filled(areas, flags.shape, step), pieces == number)


@given(rasters)
def test_pieces_are_numbered_in_reading_order(flags):
    pieces = mask_of(flags).pieces()
    np.testing.assert_array_equal(pieces > 0, flags)
    met = pieces[pieces > 0]
    first = met[np.sort(np.unique(met, return_index=True)[1])]
    np.testing.assert_array_equal(first, np.arange(1, len(first) + 1))
    assert len(first) == ndimage.label(flags, np.ones((3, 3)))[1]


@pytest.mark.parametrize("between", [FOLD, BLUR, FAT])
def test_what_only_a_fold_blur_or_fat_divides_is_one_piece(between):
    classes = np.full((4, 5), TISSUE, np.uint8)
    classes[:, 2] = between
    pieces = TissueMask(classes, (1.0, 1.0)).pieces()
    assert pieces.max() == 1
    assert (pieces[:, 2] == 0).all()
    classes[:, 2] = RED_PEN
    assert TissueMask(classes, (1.0, 1.0)).pieces().max() == 2


def test_areas_that_overlap_or_cross_themselves_are_filled_once():
    square, bow = shapely.box(0, 0, 6, 6), shapely.Polygon([(0, 0), (8, 8), (8, 0), (0, 8)])
    flags = filled([square, square, bow], (8, 8), (1.0, 1.0))
    assert flags[:6, :6].all()
    assert flags[2, 7] and not flags[7, 4]


def test_areas_beyond_the_slide_are_cut_off_at_its_edge():
    mask = TissueMask.within([shapely.box(-50, -50, 500, 40)], (100, 200), (10.0, 10.0), "read from a file")
    assert mask.classes.shape == (10, 20)
    assert mask.tissue[:4].all() and not mask.tissue[4:].any()
    assert mask.origin == "read from a file"


def test_only_the_classes_that_count_are_tissue():
    classes = np.array([[GLASS, TISSUE, FOLD, RED_PEN]], np.uint8)
    assert TissueMask(classes, (1.0, 1.0)).tissue.tolist() == [[False, True, False, False]]
    assert TissueMask(classes, (1.0, 1.0), counted=(TISSUE, FOLD)).tissue.tolist() == [[False, True, True, False]]


def test_whatever_number_a_person_paints_counts_and_is_said_to_be_by_hand():
    painted = TissueMask(np.zeros((2, 2), np.uint8), (1.0, 1.0)).edited(np.array([[0, 1], [77, FOLD]]))
    assert painted.tissue.tolist() == [[False, True], [True, False]]
    assert painted.origin == BY_HAND
    assert painted.shares() == {name: {"glass": 0.25, "tissue": 0.5, "fold": 0.25}.get(name, 0.0) for name in NAMES}

"""Where tiles may begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.lattice import MOST_GAP, Lattice, magnification, snapped, trident_lattice
from napari_pathlupi.errors import SettingsError

SHAPE = (3000, 5000)


def at(mpp: float) -> Mpp:
    return Mpp(mpp, mpp, "test")


@given(st.floats(20, 900), st.sampled_from([240.0, 256.0, 512.0, 1024.0]))
def test_a_snapped_tile_lies_in_whole_stored_tiles_or_is_left_alone(side, stored):
    places = snapped(SHAPE, (side, side), (stored, stored))
    stride, starts = places.stride_px0[0], places.starts_px0[0]
    if stride == side:
        np.testing.assert_array_equal(starts, np.arange(len(starts)) * side)
        return
    assert stride % stored == 0
    assert side - 1e-3 <= stride <= (1 + MOST_GAP) * side
    margin = starts % stride
    np.testing.assert_allclose(margin, stride - side - margin, atol=1e-6)


@pytest.mark.parametrize(
    ("side", "stored", "stride"),
    [(512.0, 256.0, 512), (506.93, 256.0, 512), (517.2, 256.0, 517.2), (512.0, 240.0, 512), (977.1, 256.0, 1024)],
)
def test_tiles_of_real_slides_snap_where_it_saves_decoding(side, stored, stride):
    assert snapped(SHAPE, (side, side), (stored, stored)).stride_px0 == (stride, stride)


def test_starts_are_multiples_of_the_stride_and_lie_on_the_slide():
    rows, columns = Lattice.even((100, 90), (30.0, 30.0), (22.5, 45.0)).starts_px0
    np.testing.assert_array_equal(rows, [0, 22.5, 45, 67.5, 90])
    np.testing.assert_array_equal(columns, [0, 45])


@pytest.mark.parametrize(
    ("mpp", "power"), [(0.1, 80), (0.17, 60), (0.2204, 40), (0.265, 40), (0.3, 20), (0.4992, 20), (0.6, 10), (2.0, 5)]
)
def test_trident_snaps_the_scale_of_scanners(mpp, power):
    assert magnification(mpp) == power


@pytest.mark.parametrize(("mpp", "side"), [(0.2204, 512), (0.25, 512), (0.265, 512), (0.17, 768), (0.4992, 256)])
def test_trident_tiles_are_a_whole_number_of_level_0_pixels_whatever_the_exact_scale(mpp, side):
    places = trident_lattice(SHAPE, at(mpp), 256, 0.5)
    assert places.side_px0 == places.stride_px0 == (side, side)
    for starts, extent in zip(places.starts_px0, SHAPE, strict=True):
        np.testing.assert_array_equal(starts, np.arange(0, extent, side))


def test_trident_lets_the_second_tile_begin_where_the_first_ends_and_only_later_ones_overlap():
    rows = trident_lattice(SHAPE, at(0.25), 256, 0.5, overlap_px=64).starts_px0[0]
    np.testing.assert_array_equal(rows, [0, 512, 896, 1280, 1664, 2048, 2432, 2816])


@pytest.mark.parametrize(("slide", "tile"), [(2.4, 0.5), (0.25, 0.45)])
def test_what_trident_cannot_do_is_told(slide, tile):
    with pytest.raises(SettingsError, match="TRIDENT reads"):
        trident_lattice(SHAPE, at(slide), 256, tile)

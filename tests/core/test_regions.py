import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from handmade import FRAME, SLIDE_MPP, a_prediction
from napari_pathlupi.core.regions import AnnotatedRegion, high_attention_regions

TILE = shapely.Polygon([(0, 0), (4, 0), (4, 2), (0, 2)])


def test_area_counts_both_sides_of_a_pixel() -> None:
    assert AnnotatedRegion(TILE).area_um2(SLIDE_MPP) == pytest.approx(8 * 0.25 * 0.26)


@pytest.mark.parametrize(
    "geometry",
    [
        shapely.Polygon(),
        shapely.Point(np.nan, 1.0),
        shapely.Point(np.inf, 1.0),
        shapely.GeometryCollection([TILE, shapely.Point(1, 1)]),
    ],
)
def test_a_region_without_a_definite_place_is_refused(geometry: shapely.Geometry) -> None:
    with pytest.raises(ValueError, match="region"):
        AnnotatedRegion(geometry)


def test_an_identity_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(ValueError, match="UUID"):
        AnnotatedRegion(TILE, identity="PathAnnotationObject")


def test_a_ring_of_attention_is_one_region_with_a_hole() -> None:
    (region,) = high_attention_regions(a_prediction(), FRAME, threshold=0.7)
    assert len(region.geometry.interiors) == 1
    assert region.measurements["Tiles"] == 8
    assert region.measurements["Attention (share)"] == pytest.approx(72 / 93)
    assert region.measurements["Area µm^2"] == pytest.approx(8 * 112**2)
    assert region.measurements["Slide: P(Demo <B>)"] == 0.82


def test_tiles_that_only_share_a_corner_are_two_regions_the_stronger_first() -> None:
    weights = np.ones((4, 4))
    weights[1, 1], weights[2, 2] = 8, 9
    regions = high_attention_regions(a_prediction(weights), FRAME, threshold=0.9)
    assert [region.name for region in regions] == ["High attention 1", "High attention 2"]
    assert regions[0].geometry.centroid.y > regions[1].geometry.centroid.y


def test_an_even_spread_gives_no_region() -> None:
    assert high_attention_regions(a_prediction(np.ones((5, 6))), FRAME, threshold=0.0) == []


def test_no_region_reaches_beyond_the_slide() -> None:
    weights = np.ones((5, 6))
    weights[:, -1] = weights[-1, :] = 9
    (region,) = high_attention_regions(a_prediction(weights), FRAME, threshold=0.7)
    assert region.geometry.bounds[2:] == (2500, 2100)


def test_regions_of_the_same_prediction_keep_their_identity() -> None:
    first, second = (high_attention_regions(a_prediction(), FRAME, 0.7) for _ in range(2))
    assert [region.identity for region in first] == [region.identity for region in second]


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (5, 6), elements=st.sampled_from([1.0, 2.0, 3.0, np.nan])).filter(
        lambda values: bool(np.isfinite(values).any())
    ),
    st.floats(0, 1),
)
def test_regions_hold_exactly_the_tiles_above_threshold_and_even_spread(weights: np.ndarray, threshold: float) -> None:
    prediction = a_prediction(weights)
    regions = high_attention_regions(prediction, FRAME, threshold)
    chosen = (prediction.percentile >= threshold) & (prediction.times_uniform > 1)
    assert sum(region.measurements["Tiles"] for region in regions) == chosen.sum()
    shares = sum(region.measurements["Attention (share)"] for region in regions)
    assert shares == pytest.approx(prediction.attention[chosen].sum(), abs=1e-6)
    centres = prediction.grid.origins_px0 + np.array(prediction.grid.stride_px0) / 8
    covered = shapely.contains_xy(
        shapely.union_all([region.geometry for region in regions]), centres[:, 1], centres[:, 0]
    )
    np.testing.assert_array_equal(covered, chosen)
    assert all(region.geometry.is_valid for region in regions)

"""Where the model will look."""

import numpy as np
import pytest
from shapely import box

from napari_pathlupi.core.tiles import TileGrid
from napari_pathlupi.errors import MismatchError, MppUnknownError, NoTissueError, SettingsError, UnsuitableSlideError
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.workflows.embedding.tile import TileConfig, find_tissue_on, tile
from napari_pathlupi.workflows.prediction.predict import PredictConfig, predict


def test_tiles_lie_on_the_tissue_and_nowhere_else(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 256, 0.5)
    assert {tuple(cell) for cell in grid.cells.tolist()} == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3, 4)}


def test_regions_restrict_the_tiles(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 256, 0.5, regions=[box(512, 256, 1024, 512)])
    assert grid.cells.tolist() == [[1, 2], [1, 3]]


def test_a_region_on_glass_says_so(tissue_slide: Slide) -> None:
    with pytest.raises(NoTissueError, match="in the chosen regions"):
        tile(tissue_slide, 256, 0.5, regions=[box(0, 0, 200, 200)])


def test_a_scale_between_the_levels_is_met_exactly(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 100, 1.1, TileConfig(0.99))
    assert grid.stride_px0 == pytest.approx((220.0, 220.0))
    inside = grid.origins_px0
    assert (inside >= 256 - 16).all()
    assert (inside + 220 <= np.array([4 * 256, 5 * 256]) + 16).all()


def test_glass_alone_is_an_answer_with_its_cause(slide_of) -> None:
    with pytest.raises(NoTissueError, match=r"No tissue was found \(glass 100 %\)"):
        find_tissue_on(slide_of(np.full((1024, 1024, 3), 243, np.uint8)))


def test_fluorescence_is_refused_in_one_sentence(slide_of) -> None:
    with pytest.raises(UnsuitableSlideError, match="looks like fluorescence"):
        find_tissue_on(slide_of(np.full((1024, 1024, 3), 3, np.uint8)))


def test_an_unknown_scale_is_asked_for(tissue_slide_path, slide_of) -> None:
    with pytest.raises(MppUnknownError):
        find_tissue_on(slide_of(np.full((1024, 1024, 3), 200, np.uint8), mpp=None))
    assert open_slide(tissue_slide_path).mpp.mean == 0.25


def test_a_slide_much_coarser_than_the_encoder_is_refused(tissue_slide: Slide) -> None:
    tissue_slide.state_mpp(1.9)
    with pytest.raises(MismatchError, match=r"would be enlarged 3\.8 times"):
        tile(tissue_slide, 256, 0.5)


def test_real_fluorescence_says_why_it_is_not_predicted(shared_data) -> None:
    with open_slide(shared_data / "wsi/test3-DAPI-2-(387).ndpi") as slide, pytest.raises(UnsuitableSlideError) as said:
        find_tissue_on(slide)
    assert "fluorescence" in str(said.value)


def pink(side: int) -> np.ndarray:
    """Tissue in a margin of glass."""
    picture = np.full((side, side, 3), 243, np.uint8)
    inner = picture[128:-128, 128:-128]
    inner[:] = np.random.default_rng(1).normal((205, 140, 180), 14, inner.shape).clip(0, 255)
    return picture


def touched(grid: TileGrid, stored: float) -> float:
    """Stored tiles that one tile of the grid touches, on average."""
    first, last = grid.origins_px0 // stored, np.ceil((grid.origins_px0 + grid.side_px0) / stored - 1e-9)
    return float(np.prod(last - first, axis=1).mean())


def test_snapped_tiles_keep_their_scale_and_fewer_stored_tiles_are_decoded(slide_of) -> None:
    slide = slide_of(pink(2304), 0.5)
    slide.state_mpp(0.2525)
    exact, snapped = (tile(slide, 256, 0.5, TileConfig(snap=snap)) for snap in (False, True))
    assert snapped.side_px0 == exact.side_px0
    assert snapped.stride_px0 == (512, 512)
    np.testing.assert_allclose(snapped.origins_px0 % 512, (512 - snapped.side_px0[0]) / 2)
    assert snapped.raster_origin_px0 == pytest.approx((0, 0), abs=1e-6)
    assert touched(snapped, 256) == 4 < touched(exact, 256)


def test_snapping_leaves_alone_what_it_would_tear_apart(slide_of) -> None:
    slide = slide_of(pink(1536), 0.5)
    slide.state_mpp(0.4)
    assert tile(slide, 256, 0.5, TileConfig(snap=True)).stride_px0 == pytest.approx((320, 320))


def test_trident_coordinates_are_whole_and_the_true_scale_is_told(slide_of) -> None:
    slide = slide_of(pink(2304), 0.5)
    slide.state_mpp(0.265)
    grid = tile(slide, 256, 0.5, TileConfig(compat="trident"))
    assert (grid.origins_px0 % 512 == 0).all()
    assert grid.side_px0 == pytest.approx((512, 512))
    assert grid.mpp == pytest.approx(0.53)
    overlapping = tile(slide, 256, 0.5, TileConfig(compat="trident", overlap=0.25))
    assert set(np.unique(overlapping.origins_px0[:, 0])) <= {0.0, *(512.0 + 384 * np.arange(9))}


def test_overlapping_tiles_begin_a_share_of_their_side_apart(tissue_slide: Slide) -> None:
    grid = tile(tissue_slide, 256, 0.5, TileConfig(overlap=0.5, min_coverage=0.97))
    assert grid.stride_px0 == (128, 128)
    assert len(grid) == 5 * 7
    assert grid.coverage.min() >= 0.97


def test_a_tile_may_be_stated_in_um(tissue_slide: Slide) -> None:
    same, other = tile(tissue_slide, 256, 0.5), tile(tissue_slide, 256, None, TileConfig(tile_um=128))
    np.testing.assert_array_equal(same.origins_px0, other.origins_px0)
    assert tile(tissue_slide, 224, None, TileConfig(tile_um=256)).mpp == pytest.approx(256 / 224)
    with pytest.raises(SettingsError, match="needs µm per pixel or a side in µm"):
        tile(tissue_slide, 256, None)


def test_tiles_by_stored_tile_are_the_same_tiles_in_an_order_that_leaves_each_stored_tile_once(
    tissue_slide: Slide,
) -> None:
    rows, stored = tile(tissue_slide, 64, 0.5), tile(tissue_slide, 64, 0.5, TileConfig(order="stored"))
    assert {*map(tuple, stored.origins_px0.tolist())} == {*map(tuple, rows.origins_px0.tolist())}
    assert np.count_nonzero((np.diff(stored.origins_px0 // 256, axis=0) != 0).any(axis=1)) == 11  # of twelve
    assert (rows.tissue_ids == 1).all()


@pytest.mark.parametrize(
    "wrong", [{"overlap": 1.0}, {"compat": "clam"}, {"compat": "trident", "snap": True}, {"order": "z"}]
)
def test_settings_that_cannot_be_are_told(wrong) -> None:
    with pytest.raises(SettingsError):
        TileConfig(**wrong)


def test_a_prediction_takes_the_same_settings_and_draws_each_tile_in_a_cell_of_its_own(
    tissue_slide, small_bundle
) -> None:
    prediction = predict(tissue_slide, small_bundle, PredictConfig(overlap=0.5, compat="trident"))
    assert prediction.grid.stride_px0 == (128, 128)
    assert np.isfinite(prediction.grid.raster(prediction.attention, "").values).sum() == len(prediction.grid) > 12
    assert prediction.provenance.settings["compat"] == "trident"
    with pytest.raises(SettingsError, match="overlap by 1"):
        PredictConfig(overlap=1.0)

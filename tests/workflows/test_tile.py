"""Where the model will look."""

import numpy as np
import pytest
from shapely import box

from napari_pathlupi.errors import MismatchError, MppUnknownError, NoTissueError, UnsuitableSlideError
from napari_pathlupi.slides import Slide, open_slide
from napari_pathlupi.workflows.tile import TileConfig, find_tissue_on, tile


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

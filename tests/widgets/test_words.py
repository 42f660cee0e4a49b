from dataclasses import replace

import numpy as np
import pytest
from shapely import box

from handmade import FRAME, SLIDE_MPP, a_prediction
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.runs import Run
from napari_pathlupi.widgets._answer import reference_words, remark
from napari_pathlupi.widgets._map import cell_words
from napari_pathlupi.widgets._results import attention_in, region_words


@pytest.fixture
def run() -> Run:
    return Run("a", FRAME, "whole tissue", a_prediction())


def test_under_the_cursor_stand_percentile_share_and_class(run: Run) -> None:
    words = cell_words(run, (1, 1))
    assert words.startswith("here: percentile 100 · ")
    assert words.endswith("× uniform · speaks for Demo A")


@pytest.mark.parametrize("cell", [(0, 0), (40, 40)])
def test_a_place_that_was_not_read_is_said_to_be_so(cell: tuple[int, int], run: Run) -> None:
    assert cell_words(run, cell) == "here: not looked at"


def test_a_region_has_the_attention_of_the_tiles_whose_centre_it_holds(run: Run) -> None:
    grid = run.prediction.grid
    height, width = grid.side_px0
    over_one = AnnotatedRegion(box(1.2 * width, 1.2 * height, 1.8 * width, 1.8 * height), name="Tumour")
    assert attention_in(over_one, run) == pytest.approx(1.0)
    assert region_words(over_one, SLIDE_MPP, run)[::2] == ("Tumour", "100")
    unread = AnnotatedRegion(box(0, 0, 0.9 * width, 0.9 * height), classification="Glass")
    assert np.isnan(attention_in(unread, run))
    assert region_words(unread, SLIDE_MPP, run)[::2] == ("Glass", "not looked at")
    assert region_words(unread, None, None) == ("Glass", "scale unknown", "not predicted yet")


def test_a_partial_answer_is_called_provisional_with_the_share_that_was_read() -> None:
    partial = replace(a_prediction(), notes=())
    assert remark(partial) == "Provisional: 97 % of the tiles were read."
    assert remark(replace(a_prediction(np.ones((5, 6))), notes=())) == ""


@pytest.mark.parametrize(("supported", "words"), [(True, "Like"), (False, "Unlike")])
def test_a_distance_never_stands_alone(supported: bool, words: str) -> None:
    said = reference_words(a_prediction(supported=supported).reference)
    assert said.startswith(words)
    assert "99\u00a0% of them lie below 1.9" in said

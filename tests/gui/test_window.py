import gc
import threading
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.export.geojson import read_regions
from napari_pathlupi.panel_state import Extent, Phase
from napari_pathlupi.slides import open_slide
from napari_pathlupi.widgets._answer import NOT_SUPPORTED, SO_FAR_UNLIKE
from napari_pathlupi.widgets._sections import NARROWEST_PX
from napari_pathlupi.widgets._viewer import facts_of
from napari_pathlupi.widgets._work import Work

pytestmark = pytest.mark.gui


def test_from_a_slide_to_a_map_to_regions_in_qupaths_format(window: Any, small_slide: Path, tmp_path: Path) -> None:
    viewer, panel = window.viewer, window.panel
    window.ready(small_slide)
    assert "tiles of 256 px at 0.5 µm/px" in panel.predict_row.sentence.text()
    before = window.look()
    panel.predict_row.predict.click()
    window.until(lambda: bool(panel.session.runs))
    window.until(lambda: window.kinds() == ["slide", "tissue", "subtypes", "attention"])
    after = window.look()
    canvas = np.s_[100:600, 300:750]
    assert after[canvas].mean((0, 1))[2] < before[canvas].mean((0, 1))[2] - 5  # warm colours came over white and pink
    assert panel.answer.headline.text() == NOT_SUPPORTED
    assert panel.session.runs[0].prediction.reference.supported is False

    panel.regions.draw.click()
    regions = viewer.layers.selection.active
    corners_px0 = np.array([[500, 1000], [500, 1500], [1200, 1500], [1300, 1100]])
    regions.add(corners_px0, shape_type="polygon")
    window.until(lambda: panel.regions.table.rowCount() == 1)
    files = panel.export_to(tmp_path / "results")
    (drawn,) = read_regions(next(f for f in files if f.name.endswith("regions.geojson")), open_slide(small_slide).frame)
    assert np.allclose(np.array(drawn.geometry.exterior.coords)[:-1, ::-1], corners_px0, atol=0.01)
    assert {"CMU-1-Small-Region.csv", "CMU-1-Small-Region.geojson"} <= {file.name for file in files}

    panel.choose_extent(Extent.REGIONS)
    window.until(lambda: panel.predict_row.predict.isEnabled())
    panel.predict_row.predict.click()
    window.until(lambda: len(panel.session.runs) == 2)
    assert len(panel.session.runs[1].prediction.grid) < len(panel.session.runs[0].prediction.grid)
    window.until(lambda: window.kinds().count("subtypes") == 2)
    assert window.kinds() == ["slide", "tissue", "subtypes", "attention", "subtypes", "attention", "regions"]
    assert panel.runs.table.rowCount() == 2
    panel.slide_row.ask_mpp()
    beside_px = panel.width() - panel.area.viewport().width()
    assert panel.area.widget().minimumSizeHint().width() + beside_px <= NARROWEST_PX  # nothing is cut off


def test_what_has_nothing_to_work_on_yet_cannot_be_clicked_and_says_why(window: Any, small_slide: Path) -> None:
    export, draw = window.panel.runs.export, window.panel.regions.draw
    window.until(lambda: not export.isEnabled() and not draw.isEnabled())
    assert "nothing to export yet" in export.toolTip() and "Open a slide" in draw.toolTip()
    window.ready(small_slide)
    window.until(draw.isEnabled)
    assert not export.isEnabled()
    window.predict()
    window.until(export.isEnabled)
    assert "QuPath" in export.toolTip()


def test_all_of_an_answer_is_in_sight_in_a_window_1000_px_high(window: Any, small_slide: Path) -> None:
    panel = window.panel
    window.viewer.window.resize(1400, 1000)
    window.ready(small_slide)
    window.predict()
    window.look()
    assert panel.area.widget().sizeHint().height() <= panel.area.viewport().height()


def test_while_a_run_goes_on_it_is_said_quietly_that_the_slide_is_unlike_the_models_own(
    window: Any, small_slide: Path, slow_tiles: Event
) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: "attention" in window.kinds())
    assert panel.answer.headline.text() == SO_FAR_UNLIKE
    assert "bold" not in panel.answer.headline.styleSheet()
    slow_tiles.set()
    window.until(lambda: bool(panel.session.runs))
    assert panel.answer.headline.text() == NOT_SUPPORTED
    window.until(lambda: "subtypes" in window.kinds())
    made = [facts_of(layer)["created"] for layer in panel.canvas.of_run(panel.run.identity)]
    assert len(made) == 2 and set(made) == {panel.run.prediction.provenance.created}


def test_cancel_keeps_what_was_read_and_says_so(window: Any, small_slide: Path, slow_tiles: Event) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: bool(progress := panel.session.facts.progress) and progress.done > 0)
    panel.predict_row.cancel.click()
    slow_tiles.set()
    assert "after this batch" in panel.predict_row.sentence.text()
    window.until(lambda: panel.session.facts.phase is Phase.IDLE)
    (run,) = panel.session.runs
    assert run.prediction.partial
    assert "Stopped at" in panel.predict_row.sentence.text()
    assert "Provisional" in panel.answer.remark.text()
    assert panel.predict_row.predict.isEnabled()
    window.until(lambda: "subtypes" in window.kinds())
    attention = next(layer for layer in window.viewer.layers if facts_of(layer).get("kind") == "attention")
    assert np.isfinite(attention.data).sum() == run.prediction.read.sum()


def test_closing_the_window_while_predicting_ends_the_work(
    window: Any, small_slide: Path, slow_tiles: Event, qtbot: Any
) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: bool(progress := panel.session.facts.progress) and progress.done > 0)
    session = panel.session
    window.viewer.close()
    slow_tiles.set()
    qtbot.waitUntil(lambda: not Work._going_on, timeout=20_000)
    gc.collect()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("tiles")], timeout=20_000)
    assert all(run.prediction.partial for run in session.runs)


def test_deleting_the_layers_while_predicting_hurts_nothing(window: Any, small_slide: Path, slow_tiles: Event) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: "attention" in window.kinds())
    window.viewer.layers.clear()
    slow_tiles.set()
    window.until(lambda: bool(panel.session.runs))
    assert window.kinds() == []
    assert "Open a slide to begin" in panel.predict_row.sentence.text()


def test_on_this_view_reads_only_what_is_in_view(window: Any, small_slide: Path) -> None:
    panel = window.panel
    window.ready(small_slide)
    whole = len(panel.session.plan.grid)
    window.viewer.scene.camera.zoom *= 2
    panel.choose_extent(Extent.VIEW)
    window.until(lambda: panel.session.plan is not None)
    assert 0 < len(panel.session.plan.grid) < whole
    window.viewer.scene.camera.center = (1e6, 1e6)
    window.until(lambda: "out of view" in panel.predict_row.sentence.text())
    assert not panel.predict_row.predict.isEnabled()
    window.viewer.reset_view()
    window.until(lambda: panel.predict_row.predict.isEnabled())


def test_other_preferences_are_planned_with_at_once(window: Any, small_slide: Path, preferences: Any) -> None:
    panel = window.panel
    window.ready(small_slide)
    tiles = len(panel.session.plan.grid)
    preferences.prediction.min_coverage = 0.95
    assert not panel.predict_row.predict.isEnabled()
    window.until(lambda: panel.predict_row.predict.isEnabled())
    assert len(panel.session.plan.grid) < tiles
    window.predict()
    assert panel.session.runs[0].prediction.provenance.settings["min_coverage"] == 0.95


def test_a_scale_is_not_set_while_predicting(window: Any, small_slide: Path, slow_tiles: Event) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.slide_row.change.click()
    panel.predict_row.predict.click()
    assert not panel.slide_row.change.isEnabled() and not panel.slide_row.use.isEnabled()
    mpp = panel.slide.frame.mpp
    panel.state_mpp(0.25)
    assert panel.slide.frame.mpp == mpp
    slow_tiles.set()
    window.until(lambda: panel.session.facts.phase is Phase.IDLE)
    assert panel.slide_row.change.isEnabled() and panel.slide_row.use.isEnabled()


def test_after_another_scale_slide_maps_and_cursor_still_agree(window: Any, small_slide: Path) -> None:
    panel, layers = window.panel, window.viewer.layers
    window.ready(small_slide)
    window.predict()
    panel.state_mpp(0.25)
    window.until(lambda: panel.predict_row.predict.isEnabled())
    window.predict()
    slide_um = np.array(panel.slide.frame.shape_px0) * 0.25
    for run in panel.session.runs:
        grid = run.prediction.grid
        row, column = grid.cells[-1]
        window.viewer.cursor.position = (np.array([row, column]) + 0.5) * grid.stride_px0 * 0.25
        assert panel.canvas.cell_under_cursor(run, panel.slide) == (row, column)
    for layer in (layer for layer in layers if facts_of(layer)["kind"] in ("attention", "subtypes")):
        corner, end = (layer.data_to_world(at) for at in ((-0.5, -0.5), np.array(layer.data.shape) - 0.5))
        assert np.allclose(corner, 0)
        assert np.all(end >= slide_um) and np.all(end <= slide_um + np.array(layer.scale))


def test_high_attention_is_outlined_from_the_lower_end_of_the_percentiles_on(window: Any, small_slide: Path) -> None:
    panel = window.panel
    window.ready(small_slide)
    assert not panel.regions.from_threshold.isEnabled()
    assert "Predict" in panel.regions.from_threshold.toolTip()
    window.predict()
    panel.map.range.setValue((0.8, 1.0))
    panel.regions.from_threshold.click()
    regions = window.viewer.layers.selection.active
    prediction = panel.session.runs[0].prediction
    chosen = (prediction.percentile >= 0.8) & (prediction.times_uniform > 1)
    drawn = panel.canvas.outlines(panel.slide)
    assert {region.classification for region in drawn} == {"High attention"}
    assert drawn[0].name == "High attention 1"
    area_px0 = chosen.sum() * np.prod(prediction.grid.side_px0)
    assert sum(region.geometry.area for region in drawn) == pytest.approx(area_px0, rel=0.2)  # holes and the edge
    window.until(lambda: panel.regions.table.rowCount() == len(drawn))
    panel.regions.from_threshold.click()
    again = panel.canvas.outlines(panel.slide)  # in the place of the first
    assert [region.geometry for region in again] == [region.geometry for region in drawn]
    regions.data = [regions.data[0] + 1, *regions.data[1:]]
    panel.map.range.setValue((0.9, 1.0))
    panel.regions.from_threshold.click()
    assert any(np.array_equal(corners, regions.data[0]) for corners in regions.data)
    regions.selected_data = set(range(len(regions.data)))
    regions.remove_selected()
    assert panel.canvas.outlines(panel.slide) == []


def test_attention_that_is_the_same_everywhere_gives_no_region_but_a_sentence(
    window: Any, small_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.ready(small_slide)
    window.predict()
    monkeypatch.setattr("napari_pathlupi.widgets.panel.high_attention_regions", lambda *_: [])
    window.panel.regions.from_threshold.click()
    assert "regions" not in window.kinds()
    assert "even share" in window.panel.regions.said.text()


def test_an_outline_of_two_corners_is_no_region_yet(window: Any, small_slide: Path) -> None:
    panel = window.panel
    window.ready(small_slide)
    panel.regions.draw.click()
    window.viewer.layers.selection.active.add(np.array([[100.0, 100.0], [100.0, 400.0]]), shape_type="polygon")
    assert panel.canvas.outlines(panel.slide) == []


def test_a_failed_export_is_one_sentence_in_the_panel(window: Any, small_slide: Path, tmp_path: Path) -> None:
    from napari_pathlupi.errors import OutputError

    window.ready(small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: bool(window.panel.session.runs))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        window.panel.export_to(tmp_path / "file/folder")
    window.panel.runs.show_exported(caught.value)
    assert "choose another folder" in window.panel.runs.said.text()

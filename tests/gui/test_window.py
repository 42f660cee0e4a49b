import gc
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.core.progress import Progress
from napari_pathlupi.export.geojson import read_regions
from napari_pathlupi.panel_state import Extent, Phase
from napari_pathlupi.slides import open_slide
from napari_pathlupi.widgets._answer import NOT_SUPPORTED
from napari_pathlupi.widgets._viewer import facts_of
from napari_pathlupi.widgets._work import Work

pytestmark = pytest.mark.gui


def kinds(viewer: Any) -> list[str]:
    return [facts_of(layer).get("kind", "") for layer in viewer.layers]


def ready(window: Any, slide: Path) -> None:
    window.panel.open_slides([slide])
    window.until(lambda: window.panel.predict_row.predict.isEnabled())


@pytest.fixture
def slow_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch takes its time, as on a large slide."""
    from napari_pathlupi.workflows import embed

    encode = embed._encode_or_halve

    def slowly(*given: Any) -> Any:
        time.sleep(0.3)
        return encode(*given)

    monkeypatch.setattr(embed, "_encode_or_halve", slowly)


def test_from_a_slide_to_a_map_to_regions_in_qupaths_format(window: Any, small_slide: Path, tmp_path: Path) -> None:
    viewer, panel = window.viewer, window.panel
    ready(window, small_slide)
    assert "tiles of 256 px at 0.5 µm/px" in panel.predict_row.sentence.text()
    before = window.look()
    panel.predict_row.predict.click()
    window.until(lambda: bool(panel.session.runs))
    window.until(lambda: kinds(viewer) == ["slide", "tissue", "subtypes", "attention"])
    after = window.look()
    canvas = np.s_[100:900, 400:1000]
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
    window.until(lambda: kinds(viewer).count("subtypes") == 2)
    assert kinds(viewer) == ["slide", "tissue", "subtypes", "attention", "subtypes", "attention", "regions"]
    assert panel.runs.table.rowCount() == 2


def test_cancel_keeps_what_was_read_and_says_so(window: Any, small_slide: Path, slow_tiles: None) -> None:
    panel = window.panel
    ready(window, small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: bool(progress := panel.session.facts.progress) and progress.done > 0)
    asked = time.monotonic()
    panel.predict_row.cancel.click()
    assert "after this batch" in panel.predict_row.sentence.text()
    window.until(lambda: panel.session.facts.phase is Phase.IDLE)
    assert time.monotonic() - asked < 2
    (run,) = panel.session.runs
    assert run.prediction.partial
    assert "Stopped at" in panel.predict_row.sentence.text()
    assert "Provisional" in panel.answer.remark.text()
    assert panel.predict_row.predict.isEnabled()
    window.until(lambda: "subtypes" in kinds(window.viewer))
    attention = next(layer for layer in window.viewer.layers if facts_of(layer).get("kind") == "attention")
    assert np.isfinite(attention.data).sum() == run.prediction.read.sum()


def test_closing_the_window_while_predicting_ends_the_work_soon(
    window: Any, small_slide: Path, slow_tiles: None, qtbot: Any
) -> None:
    panel = window.panel
    ready(window, small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: bool(progress := panel.session.facts.progress) and progress.done > 0)
    asked = time.monotonic()
    window.viewer.close()
    qtbot.waitUntil(lambda: not Work._going_on, timeout=5000)
    gc.collect()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name.startswith("tiles")], timeout=5000)
    assert time.monotonic() - asked < 5


def test_deleting_the_layers_while_predicting_hurts_nothing(window: Any, small_slide: Path, slow_tiles: None) -> None:
    panel = window.panel
    ready(window, small_slide)
    panel.predict_row.predict.click()
    window.until(lambda: "attention" in kinds(window.viewer))
    window.viewer.layers.clear()
    window.until(lambda: bool(panel.session.runs))
    assert kinds(window.viewer) == []
    assert "Open a slide to begin" in panel.predict_row.sentence.text()


def test_closing_the_panel_and_opening_it_again_keeps_the_runs(window: Any, small_slide: Path, qtbot: Any) -> None:
    ready(window, small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: bool(window.panel.session.runs))
    window.viewer.window.remove_dock_widget(window.panel)
    window.panel = None
    qtbot.wait(100)
    gc.collect()
    window.viewer.layers.selection.clear()  # an event that the panel no longer hears
    _, again = window.viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")
    assert again.runs.table.rowCount() == 1
    window.panel = again


def test_on_this_view_reads_only_what_is_in_view(window: Any, small_slide: Path) -> None:
    panel = window.panel
    ready(window, small_slide)
    whole = len(panel.session.plan.grid)
    window.viewer.scene.camera.zoom *= 2
    panel.choose_extent(Extent.VIEW)
    window.until(lambda: panel.session.plan is not None)
    assert 0 < len(panel.session.plan.grid) < whole


def test_a_large_image_without_a_pyramid_is_opened_as_a_slide_instead(
    window: Any, small_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_pathlupi.widgets import _viewer

    monkeypatch.setattr(_viewer, "PLAIN_IMAGE_AT_LEAST_PX", 1000)
    window.viewer.open(small_slide, plugin="napari")
    assert "without a pyramid" in window.panel.predict_row.sentence.text()
    window.panel.predict_row.hint_taken.emit("reopen")
    assert kinds(window.viewer) == ["slide"]


def test_the_demo_slide_is_a_sample_made_into_the_users_cache(
    window: Any, addressed_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(folder: Path) -> Any:
        assert folder.is_relative_to(tmp_path)
        yield Progress("Painting", 1, 2)
        return addressed_slide

    monkeypatch.setenv("PATHLUPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("napari_pathlupi.workflows.demo.demo_slide_steps", steps)
    window.viewer.open_sample("napari-pathlupi", "demo_slide")
    assert kinds(window.viewer) == ["slide"]


def test_a_slide_of_unknown_scale_is_asked_for_and_then_lies_in_um(window: Any, shared_data: Path) -> None:
    panel = window.panel
    panel.open_slides([shared_data / "wsi/kidney-48-5_flat.tif"])
    slide = window.viewer.layers[0]
    if panel.slide.frame.mpp is not None:
        pytest.skip("this slide states its scale")
    assert "how large a pixel is" in panel.predict_row.sentence.text()
    assert not panel.predict_row.predict.isEnabled()
    panel.predict_row.hint_taken.emit("mpp:0.5")
    assert slide.scale == pytest.approx((0.5, 0.5))
    window.until(lambda: panel.predict_row.predict.isEnabled() or bool(panel.session.facts.problem))


def test_a_fluorescence_slide_is_refused_in_one_sentence(window: Any, shared_data: Path) -> None:
    panel = window.panel
    panel.open_slides([shared_data / "wsi/test3-DAPI-2-(387).ndpi"])
    if panel.slide.frame.mpp is None:
        panel.state_mpp(0.5)
    window.until(lambda: "fluorescence" in panel.predict_row.sentence.text())
    assert panel.predict_row.sentence.text().startswith("test3-DAPI")
    assert not panel.predict_row.predict.isEnabled()


def test_one_slide_is_in_view_at_a_time(window: Any, small_slide: Path, addressed_slide: Path) -> None:
    layers = window.viewer.layers
    window.panel.open_slides([small_slide])
    window.panel.open_slides([addressed_slide])
    assert [layer.visible for layer in layers] == [False, True]
    window.panel.slide_row.chosen.emit(window.panel.canvas.slides().index(facts_of(layers[0])["slide"]))
    assert [layer.visible for layer in layers] == [True, False]
    assert window.panel.session.facts.slide == small_slide.name


def test_a_damaged_slide_is_a_notification_and_no_layer(window: Any, shared_data: Path) -> None:
    from napari.utils.notifications import notification_manager

    window.panel.open_slides([shared_data / "wsi/broken.svs"])
    assert kinds(window.viewer) == []
    assert "broken.svs" in notification_manager.records[-1].message


def test_a_failed_export_is_one_sentence_in_the_panel(window: Any, small_slide: Path, tmp_path: Path) -> None:
    from napari_pathlupi.errors import OutputError

    ready(window, small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: bool(window.panel.session.runs))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        window.panel.export_to(tmp_path / "file/folder")
    window.panel.runs.show_exported(caught.value)
    assert "choose another folder" in window.panel.runs.said.text()

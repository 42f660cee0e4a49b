from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.export.geojson import read_regions
from napari_pathlupi.panel_state import Phase
from napari_pathlupi.slides import open_slide
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui

TRIANGLE_PX0 = np.array([[100.0, 100.0], [100.0, 400.0], [400.0, 400.0]])


def shown(viewer: Any, name: str) -> list[bool]:
    """Of each layer of a slide but its tissue, whether it is visible."""
    fingerprint = next(facts_of(layer)["fingerprint"] for layer in viewer.layers if layer.name.startswith(name))
    ours = [(facts_of(layer), layer) for layer in viewer.layers]
    return [
        layer.visible
        for facts, layer in ours
        if facts.get("fingerprint") == fingerprint and facts["kind"] in ("slide", "attention", "regions")
    ]


def choose(window: Any, slide: Path) -> None:
    names = [slide.path.name for slide in window.panel.canvas.slides()]
    window.panel.slide_row.chosen.emit(names.index(slide.name))


def draw(window: Any) -> None:
    window.panel.regions.draw.click()
    window.viewer.layers.selection.active.add(TRIANGLE_PX0, shape_type="polygon")


def cells(table: Any) -> list[str]:
    return [table.item(0, column).text() for column in range(table.columnCount())] if table.rowCount() else []


@pytest.fixture
def run_on_a(window: Any, small_slide: Path, addressed_slide: Path) -> Any:
    """A run on one slide, and the other one opened after it and in view."""
    window.ready(small_slide)
    window.predict()
    window.panel.open_slides([addressed_slide])
    assert window.panel.session.facts.slide == addressed_slide.name
    return window


def test_regions_of_one_slide_are_never_exported_as_anothers(
    run_on_a: Any, small_slide: Path, addressed_slide: Path, tmp_path: Path
) -> None:
    window, panel = run_on_a, run_on_a.panel
    draw(window)
    window.until(lambda: cells(panel.regions.table)[2:] == ["not predicted yet"])
    (file,) = panel.export_to(tmp_path)
    assert file.name == "addressed.regions.geojson"
    (region,) = read_regions(file, open_slide(addressed_slide).frame)
    assert np.allclose(np.array(region.geometry.exterior.coords)[:-1, ::-1], TRIANGLE_PX0, atol=0.01)

    panel.runs.chosen.emit(0)
    assert panel.session.facts.slide == small_slide.name
    assert not [file for file in panel.export_to(tmp_path) if "regions" in file.name]


def test_another_slide_hides_the_answer_and_its_own_brings_it_back(
    run_on_a: Any, small_slide: Path, addressed_slide: Path
) -> None:
    panel = run_on_a.panel
    folds = panel.folds["Answer"], panel.folds["Map"]
    assert panel.run is None
    assert not any(fold.isVisible() for fold in folds)
    choose(run_on_a, small_slide)
    assert panel.run is panel.session.runs[0]
    assert all(fold.isVisible() for fold in folds)


def test_the_run_of_a_slide_that_was_closed_is_exported_without_another_slides_regions(
    run_on_a: Any, tmp_path: Path
) -> None:
    window, panel = run_on_a, run_on_a.panel
    draw(window)
    window.viewer.layers.remove(next(layer for layer in window.viewer.layers if layer.name.startswith("CMU")))
    panel.runs.chosen.emit(0)
    files = panel.export_to(tmp_path)
    assert files
    assert all(file.name.startswith("CMU") and "regions" not in file.name for file in files)


def test_a_run_leaves_its_user_on_the_other_slide(
    window: Any, small_slide: Path, addressed_slide: Path, slow_tiles: Event
) -> None:
    panel = window.panel
    panel.open_slides([addressed_slide])
    window.ready(small_slide)
    panel.predict_row.predict.click()
    choose(window, addressed_slide)
    draw(window)
    drawing = window.viewer.layers.selection.active
    camera = window.viewer.scene.camera
    camera.zoom *= 3
    zoom, centre = camera.zoom, camera.center
    window.until(lambda: "subtypes" in [facts_of(layer)["kind"] for layer in window.viewer.layers])
    slow_tiles.set()
    window.until(lambda: panel.session.facts.phase is Phase.IDLE)
    assert panel.session.facts.slide == addressed_slide.name
    assert window.viewer.layers.selection.active is drawing
    assert (camera.zoom, camera.center) == (zoom, centre)
    assert panel.run is None
    assert panel.predict_row.sentence.text().startswith(small_slide.name)
    assert shown(window.viewer, small_slide.name) == [False, False]
    choose(window, small_slide)
    assert shown(window.viewer, small_slide.name) == [True, True]
    assert shown(window.viewer, addressed_slide.name) == [False, False]
    assert panel.run is panel.session.runs[0]


def test_a_run_leaves_its_user_on_its_own_slide_too(run_on_a: Any, small_slide: Path) -> None:
    choose(run_on_a, small_slide)
    assert run_on_a.panel.canvas.chosen() is run_on_a.panel.slide
    run_on_a.until(lambda: run_on_a.panel.predict_row.predict.isEnabled())
    run_on_a.predict()
    assert run_on_a.panel.session.facts.slide == small_slide.name
    assert run_on_a.panel.run is run_on_a.panel.session.runs[1]


def test_drawing_on_one_of_two_openings_of_a_file_stays_on_it(window: Any, small_slide: Path) -> None:
    window.panel.open_slides([small_slide, small_slide])
    for index in range(2):
        window.panel.slide_row.chosen.emit(index)
        slide = window.panel.slide
        draw(window)
        assert window.panel.slide is slide is window.panel.canvas.slides()[index]


def test_a_scale_that_was_stated_holds_for_every_opening_of_the_file(window: Any, shared_data: Path) -> None:
    panel, layers, path = window.panel, window.viewer.layers, shared_data / "wsi/kidney-48-5_flat.tif"
    panel.open_slides([path, path])
    panel.state_mpp(0.6)
    panel.open_slides([path])
    assert len(panel.canvas.slides()) == 3
    assert [slide.frame.mpp.mean for slide in panel.canvas.slides()] == [0.6] * 3
    for layer in layers:
        assert np.allclose(layer.scale, np.array(facts_of(layer).get("step_px0", (1, 1))) * 0.6)
    for index in range(3):
        panel.slide_row.chosen.emit(index)
        assert panel.session.facts.mpp_known

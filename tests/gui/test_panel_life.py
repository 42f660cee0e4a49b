import gc
from pathlib import Path
from threading import Event
from typing import Any
from weakref import ref

import numpy as np
import pytest

from napari_pathlupi.panel_state import Extent
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui


@pytest.fixture
def close(window: Any, qtbot: Any) -> Any:
    """Closes the panel as its cross does, or from a script."""

    def close(by_its_cross: bool = True) -> None:
        dock = window.panel.parent()
        if by_its_cross:
            dock.destroyOnClose()
        else:
            window.viewer.window.remove_dock_widget(window.panel)
        window.panel = None
        qtbot.wait(50)

    return close


def open_again(window: Any) -> Any:
    window.panel = window.viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")[1]
    return window.panel


@pytest.mark.parametrize("by_its_cross", [True, False])
def test_a_closed_panel_dies(window: Any, small_slide: Path, close: Any, by_its_cross: bool) -> None:
    window.ready(small_slide)
    dying = ref(window.panel)
    close(by_its_cross)
    window.until(lambda: gc.collect() >= 0 and dying() is None, 5)


def test_a_closed_panel_hears_nothing_even_before_it_dies(window: Any, small_slide: Path, close: Any) -> None:
    closed = window.panel
    close()
    window.viewer.open(small_slide, plugin="napari-pathlupi")
    window.viewer.layers.selection.clear()
    assert closed.slide is None
    assert not [call for call in window.viewer.mouse_move_callbacks if call.__module__.startswith("napari_pathlupi")]


def test_a_run_has_one_map_however_many_panels_were_closed(window: Any, small_slide: Path, close: Any) -> None:
    for _ in range(2):
        close()
        open_again(window)
    window.ready(small_slide)
    window.predict()
    assert window.kinds() == ["slide", "tissue", "subtypes", "attention"]


def test_opened_again_it_has_the_runs_and_the_model(window: Any, small_slide: Path, close: Any) -> None:
    window.ready(small_slide)
    window.predict()
    close()
    again = open_again(window)
    assert again.runs.table.rowCount() == 1
    assert again.run is again.session.runs[0]
    assert not again.folds["Answer"].isHidden()
    assert again.model_row.choice.currentText() == again.models.bundle.card.title
    assert again.models.bundle is again.session.check().bundle  # the model that was added from a folder


def test_a_run_goes_on_and_its_map_grows_while_the_panel_is_closed(
    window: Any, small_slide: Path, slow_tiles: Event, close: Any
) -> None:
    session = window.panel.session
    window.ready(small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: session.facts.progress is not None)
    close()
    gc.collect()
    slow_tiles.set()
    window.until(lambda: bool(session.runs) and "subtypes" in window.kinds())
    (run,) = session.runs
    assert not run.prediction.partial
    (attention,) = (layer for layer in window.viewer.layers if facts_of(layer)["kind"] == "attention")
    assert np.isfinite(attention.data).sum() == run.prediction.read.sum()
    assert open_again(window).run is run


def test_opened_again_while_a_run_goes_on_it_can_be_cancelled(
    window: Any, small_slide: Path, slow_tiles: Event, close: Any
) -> None:
    window.ready(small_slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: "attention" in window.kinds())
    close()
    again = open_again(window)
    assert again.predict_row.cancel.isEnabled()
    assert again.run is not None and again.run.prediction.partial
    again.predict_row.cancel.click()
    slow_tiles.set()
    window.until(lambda: bool(again.session.runs))
    assert "Stopped at" in again.predict_row.sentence.text()
    assert window.kinds().count("attention") == 1


def test_opened_again_it_predicts_where_it_shows(window: Any, small_slide: Path, close: Any) -> None:
    window.ready(small_slide)
    window.panel.regions.draw.click()
    corners_px0 = np.array([[500.0, 1000.0], [500.0, 1500.0], [1200.0, 1500.0]])
    window.viewer.layers.selection.active.add(corners_px0, shape_type="polygon")
    window.panel.choose_extent(Extent.REGIONS)
    window.until(lambda: window.panel.session.plan is not None)
    tiles = len(window.panel.session.plan.grid)
    close()
    again = open_again(window)
    window.until(lambda: again.predict_row.predict.isEnabled())
    assert again.extent_row.buttons[Extent.REGIONS].isChecked()
    assert again.session.facts.extent is Extent.REGIONS
    assert len(again.session.plan.grid) == tiles

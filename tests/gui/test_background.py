"""napari's loading in the background: offered, taken back, hidden, and harmless when it is on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtWidgets import QPushButton

from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui


def press(row: Any, words: str) -> None:
    [found for found in row.findChildren(QPushButton) if found.text() == words][-1].click()


def is_on() -> bool:
    return bool(get_settings().experimental.async_)


def test_it_is_offered_with_a_slide_and_turned_on_and_off_by_a_click(window: Any, small_slide: Path) -> None:
    row = window.panel.background
    assert row.isHidden() and not is_on()
    window.panel.open_slides([small_slide])
    assert not row.isHidden() and not is_on()
    assert "Painting waits for the file" in row.sentence.text()
    press(row, "Turn on")
    assert is_on()
    assert "load in the background" in row.sentence.text()
    press(row, "Turn off")
    assert not is_on()
    get_settings().experimental.async_ = True  # as in napari's preferences
    assert "load in the background" in row.sentence.text()


def test_hidden_it_stays_hidden_until_the_preferences_bring_it_back(
    window: Any, small_slide: Path, preferences: Any
) -> None:
    row = window.panel.background
    window.panel.open_slides([small_slide])
    press(row, "Hide")
    assert row.isHidden() and not is_on()
    window.panel.open_slides([small_slide])
    assert row.isHidden()
    preferences.viewer.offer_background = True
    assert not row.isHidden()


def test_with_it_on_everything_from_slide_to_map_and_another_scale_is_as_without(
    window: Any, small_slide: Path
) -> None:
    get_settings().experimental.async_ = True
    viewer, panel = window.viewer, window.panel
    window.ready(small_slide)
    window.until(lambda: all(layer.loaded for layer in viewer.layers))
    before = window.look()
    window.predict()
    window.until(lambda: all(layer.loaded for layer in viewer.layers))
    (run,) = panel.session.runs
    attention = next(layer for layer in viewer.layers if facts_of(layer)["kind"] == "attention")
    assert np.isfinite(attention.data).sum() == run.prediction.read.sum()
    assert abs(window.look().astype(int) - before).mean() > 1  # the map came over the slide
    panel.state_mpp(0.25)
    assert {round(float(layer.scale[0] / facts_of(layer).get("step_px0", (1,))[0]), 6) for layer in viewer.layers} == {
        0.25
    }
    viewer.layers.clear()
    assert "Open a slide to begin" in panel.predict_row.sentence.text()

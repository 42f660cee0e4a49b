"""A real window with the panel in it, and a model that was trained in a second."""

import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.widgets._viewer import facts_of


@pytest.fixture(scope="session", autouse=True)
def display() -> None:
    """Skip where no window can be opened."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        pytest.skip("needs a display: run under tests/under_a_display.sh")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that finds every real slide unlike its own."""
    from quick_model import save_quick_model

    folder = tmp_path_factory.mktemp("models") / "quick"
    save_quick_model(folder)
    return folder


@pytest.fixture
def preferences(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin's page of the preferences, of no file and with nothing changed."""
    from napari.settings import get_plugin_settings

    page = type(get_plugin_settings("napari-pathlupi"))(config_path=None)
    monkeypatch.setattr("napari_pathlupi.widgets._settings._page", lambda: page)
    return page


@pytest.fixture
def window(make_napari_viewer: Any, qtbot: Any, model_folder: Path, preferences: Any) -> Iterator[Any]:
    """A shown viewer, its panel with the model chosen, and ways to wait and to look."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1100, 700)  # each pixel costs time where no GPU paints

    def until(true: Callable[[], bool], seconds: float = 60) -> None:
        qtbot.waitUntil(true, timeout=int(1000 * seconds))

    def look() -> np.ndarray:
        qtbot.wait(200)
        return np.asarray(viewer.screenshot(canvas_only=False, flash=False))

    def kinds() -> list[str]:
        return [facts_of(layer).get("kind", "") for layer in viewer.layers]

    def ready(slide: Path) -> None:
        made.panel.open_slides([slide])
        until(lambda: made.panel.predict_row.predict.isEnabled())

    def predict() -> None:
        before = len(made.panel.session.runs)
        made.panel.predict_row.predict.click()
        until(lambda: len(made.panel.session.runs) > before)
        until(lambda: kinds().count("subtypes") > before)

    made = SimpleNamespace(viewer=viewer, until=until, look=look, kinds=kinds, ready=ready, predict=predict)
    made.panel = viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")[1]
    made.panel.add_model(model_folder)
    yield made
    made.viewer = made.panel = None


@pytest.fixture
def slow_tiles(monkeypatch: pytest.MonkeyPatch, preferences: Any) -> Iterator[Event]:
    """A run that gives provisional answers and goes on, as on a large slide, until the event is set."""
    from napari_pathlupi.workflows.embedding.pipeline import Pipeline
    from napari_pathlupi.workflows.prediction import predict

    preferences.prediction.batch_size = 8
    monkeypatch.setattr(predict, "SECONDS_BETWEEN_PROVISIONAL", 0.1)

    encode, batches, go_on = Pipeline._encode_or_halve, count(), Event()

    def slowly(*given: Any) -> Any:
        go_on.wait(0.2 if next(batches) < 3 else 60)
        return encode(*given)

    monkeypatch.setattr(Pipeline, "_encode_or_halve", slowly)
    yield go_on
    go_on.set()


@pytest.fixture
def small_slide(shared_data: Path) -> Path:
    """A real slide of one level."""
    return shared_data / "wsi/CMU-1-Small-Region.svs"

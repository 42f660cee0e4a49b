"""A real window with the panel in it, and a model that was trained in a second."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.bundle import About
from napari_pathlupi.workflows.demo import IDENTITY

ABOUT = About(
    name="window",
    title="Window model",
    description="For tests of the window.",
    trained_on="random vectors",
    limits="all",
    licence="BSD-3-Clause",
    gated=False,
    source="tests",
    created="2026-11-21",
)


@pytest.fixture(scope="session", autouse=True)
def display() -> None:
    """Skip where no window can be opened."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        pytest.skip("needs a display: run under tests/under_a_display.sh")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that finds every real slide unlike its own."""
    from napari_pathlupi.workflows.model import save_model
    from napari_pathlupi.workflows.train import TrainConfig, TrainingCases, train

    rng = np.random.default_rng(3)
    bags = [rng.normal(size=(9, IDENTITY.dim)).astype(np.float32) for _ in range(12)]
    cases = TrainingCases(bags, IDENTITY, np.arange(12) % 2, ("Alpha", "Beta"))
    model = train(cases, TrainConfig(objective="", steps=5))
    folder = tmp_path_factory.mktemp("models") / "window"
    save_model(folder, model, ABOUT, bags[0])
    return folder


@pytest.fixture
def window(make_napari_viewer: Any, qtbot: Any, model_folder: Path) -> Iterator[Any]:
    """A shown viewer, its panel with the model chosen, and ways to wait and to look."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1400, 1000)
    _, panel = viewer.window.add_plugin_dock_widget("napari-pathlupi", "PathLUPI")
    panel.add_model(model_folder)

    def until(true: Callable[[], bool], seconds: float = 60) -> None:
        qtbot.waitUntil(true, timeout=int(1000 * seconds))

    def look() -> np.ndarray:
        qtbot.wait(200)
        return np.asarray(viewer.screenshot(canvas_only=False, flash=False))

    made = SimpleNamespace(viewer=viewer, panel=panel, until=until, look=look)
    yield made
    made.viewer = made.panel = None


@pytest.fixture
def small_slide(shared_data: Path) -> Path:
    """A real slide of one level."""
    return shared_data / "wsi/CMU-1-Small-Region.svs"

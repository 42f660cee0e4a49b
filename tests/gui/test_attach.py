"""Features of other tools, attached in the panel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QInputDialog

import feature_files as made
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui


def write(folder: Path, encoder: str) -> Path:
    places = np.array([[0, 0], [512, 0], [0, 256], [512, 256]])
    at = {"patch_size": 256, "patch_size_level0": 512, "target_magnification": 20}
    data = {"features": made.vectors(151), "coords": places}
    return made.write_h5(folder / "case.h5", data, coords=at, features={"encoder": encoder})


def open_and_settle(window: Any, slide: Path) -> None:
    """Open a slide and wait for the look at its tissue: two threads that change Python's warnings trip each other."""
    window.panel.open_slides([slide])
    window.until(lambda: bool(window.panel.session.facts.plan or window.panel.session.facts.problem))


def test_attached_features_become_a_run_with_its_map(window: Any, addressed_slide, tmp_path) -> None:
    open_and_settle(window, addressed_slide)
    window.panel.slide_row.features_chosen.emit(write(tmp_path, "stain-texture"))
    window.until(lambda: len(window.panel.session.runs) == 1)
    window.until(lambda: "attention" in window.kinds())
    (layer,) = (layer for layer in window.viewer.layers if facts_of(layer).get("kind") == "attention")
    assert layer.data.shape == (3, 2)
    assert tuple(layer.scale) == (256 * 0.25, 512 * 0.25)
    assert "features of others" in {window.panel.runs.table.item(0, column).text() for column in range(4)}


def test_what_the_file_does_not_say_is_asked_and_nothing_is_assumed(
    window: Any, addressed_slide, tmp_path, monkeypatch
) -> None:
    asked: list[tuple[str, str]] = []
    answers = iter(["", "stain-texture"])

    def answer(_: Any, title: str, question: str, text: str) -> tuple[str, bool]:
        asked.append((question, text))
        return next(answers), True

    monkeypatch.setattr(QInputDialog, "getText", answer)
    open_and_settle(window, addressed_slide)
    file = write(tmp_path, "None")
    window.panel.slide_row.features_chosen.emit(file)
    window.until(lambda: len(asked) == 1)
    assert asked[0] == ("case.h5 does not say which encoder made its 151 numbers per tile:", "stain-texture")
    window.panel.slide_row.features_chosen.emit(file)
    window.until(lambda: len(window.panel.session.runs) == 1)
    assert len(asked) == 2


def test_what_does_not_fit_is_told_in_the_panel(window: Any, addressed_slide, tmp_path) -> None:
    file = write(tmp_path, "stain-texture")
    window.panel.slide_row.features_chosen.emit(file)
    assert "Open the slide" in window.panel.session.facts.notice
    open_and_settle(window, addressed_slide)
    file.write_bytes(file.read_bytes()[:900])
    window.panel.slide_row.features_chosen.emit(file)
    window.until(lambda: "case.h5" in window.panel.session.facts.notice)
    assert not window.panel.session.runs

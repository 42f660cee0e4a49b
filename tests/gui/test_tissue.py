"""Painting on the Tissue layer is heard by Predict."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from addressed import write_pyramid
from napari_pathlupi.core.tissue import BY_HAND, FOUND, GLASS, TISSUE
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui


def tissue_layer(window: Any) -> Any:
    return next(layer for layer in window.viewer.layers if facts_of(layer).get("kind") == "tissue")


def planned_tiles(window: Any) -> int:
    plan = window.panel.session.plan
    return len(plan.grid) if plan is not None else -1


def test_erased_and_painted_tissue_is_what_is_predicted_on(window: Any, small_slide: Path) -> None:
    window.ready(small_slide)
    whole, layer = planned_tiles(window), tissue_layer(window)
    layer.selected_label = GLASS
    layer.brush_size = 80
    layer.paint((100, 60), GLASS)
    window.until(lambda: 0 < planned_tiles(window) < whole)
    fewer = planned_tiles(window)
    assert BY_HAND in window.panel.predict_row.sentence.text()
    window.predict()
    prediction = window.panel.session.runs[-1].prediction
    assert len(prediction.grid) == fewer
    assert prediction.provenance.settings["tissue"] == BY_HAND
    layer.undo()
    window.until(lambda: planned_tiles(window) == whole)
    assert window.panel.session.plan.tissue.origin == FOUND


def test_tissue_painted_on_a_slide_without_any_can_be_predicted_on(window: Any, tmp_path: Path) -> None:
    glass = write_pyramid(tmp_path / "glass.svs", [np.full((1024, 1024, 3), 243, np.uint8)], tile=256)
    window.panel.open_slides([glass])
    window.until(lambda: "No tissue was found (glass 100 %)" in window.panel.predict_row.sentence.text())
    assert not window.panel.predict_row.predict.isEnabled()
    layer = tissue_layer(window)
    layer.paint((16, 16), TISSUE)
    layer.data[:] = TISSUE
    layer.refresh()
    window.until(window.panel.predict_row.predict.isEnabled)
    assert planned_tiles(window) == 4


def test_what_was_painted_is_there_when_the_slide_is_opened_again(window: Any, small_slide: Path) -> None:
    window.ready(small_slide)
    whole = planned_tiles(window)
    tissue_layer(window).paint((100, 60), GLASS)
    tissue_layer(window).data[:100] = GLASS
    tissue_layer(window).refresh()
    window.until(lambda: 0 < planned_tiles(window) < whole)
    painted = planned_tiles(window)
    window.viewer.layers.clear()
    window.ready(small_slide)
    assert planned_tiles(window) == painted
    assert not tissue_layer(window).data[:100].any()
    window.viewer.layers.remove(tissue_layer(window))
    window.until(lambda: planned_tiles(window) == whole)
    assert tissue_layer(window).data[:100].any()

"""Attention per head on the slide, and what the slide is like among stored embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.widgets._nearest import PROFILES
from napari_pathlupi.workflows.downstream.slide_embedding import save_embeddings
from quick_model import save_quick_model

pytestmark = pytest.mark.gui
HEADS = ["head 1: attention percentile", "head 2: attention percentile"]


def test_heads_are_layers_and_similar_slides_are_found(window: Any, small_slide: Path, tmp_path: Path) -> None:
    save_quick_model(tmp_path / "heads", "threads")
    panel = window.panel
    panel.add_model(tmp_path / "heads")
    panel.open_slides([small_slide])
    panel.state_mpp(0.5)
    assert not panel.nearest.button.isEnabled()
    window.until(lambda: panel.predict_row.predict.isEnabled())
    panel.predict_row.predict.click()
    window.until(lambda: set(HEADS) <= set(window.kinds()))
    kinds = list(panel.map._kinds)
    assert kinds[0] == "attention"
    assert set(HEADS) < set(kinds)
    panel.map.kind.setCurrentIndex(kinds.index(HEADS[1]))
    panel.map._choose(0)
    shown = {layer.metadata["pathlupi"]["kind"] for layer in panel.map._layers if layer.visible}
    assert shown == {HEADS[1]}

    embedding = panel.run.prediction.embedding
    steps = np.arange(1, 4, dtype=np.float32)[:, None] * np.ones_like(embedding.vector)
    stored = Embeddings(("near", "far", "farther"), embedding.vector + steps, made_by=embedding.made_by)
    save_embeddings(stored, tmp_path / "slides")
    assert panel.nearest.button.isEnabled()
    assert not panel.folds["Like this slide"].isVisible()
    panel.nearest.look_up(tmp_path / "slides")
    window.until(lambda: panel.nearest.table.rowCount() == 3)
    assert [panel.nearest.table.item(row, 0).text() for row in range(3)] == ["near", "far", "farther"]
    assert "Nearest of 3 slides: near, then far (2.00 times as far)" in panel.nearest.said.text()
    assert panel.folds["Like this slide"].isVisible()
    panel.area.ensureWidgetVisible(panel.nearest)
    window.look()

    (tmp_path / "profiles.csv").write_text("case_id,a\nwild,1\n")
    panel.nearest.look_up(tmp_path / "profiles.csv", PROFILES)
    window.until(lambda: "64" in panel.nearest.said.text())
    assert panel.nearest.table.rowCount() == 0

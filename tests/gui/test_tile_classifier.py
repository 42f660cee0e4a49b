"""A folder of WSInfer in the panel."""

from pathlib import Path
from typing import Any

import pytest

from wsinfer_models import write_wsinfer

pytestmark = pytest.mark.gui


def test_a_folder_of_wsinfer_predicts_and_shows_a_map_of_each_class(window: Any, small_slide: Path, tmp_path) -> None:
    panel = window.panel
    panel.add_model(write_wsinfer(tmp_path / "breast"))
    assert "350 px at 0.25 µm/px" in panel.model_row.line.text()
    panel.open_slides([small_slide])
    panel.state_mpp(0.25)
    window.until(lambda: panel.predict_row.predict.isEnabled())
    panel.predict_row.predict.click()
    window.until(lambda: bool(panel.session.runs))
    maps = ["probability of Other", "probability of Tumor"]
    window.until(lambda: sorted(window.kinds()) == sorted(["slide", "tissue", *maps]))
    panel.choose_run(panel.session.runs[0])
    assert panel.answer.headline.text() in ("Other", "Tumor")
    headline = panel.answer.headline
    window.look()
    assert headline.fontMetrics().horizontalAdvance(headline.text()) + 14 <= headline.width()  # nothing is cut off
    assert "was not checked" in panel.answer.reference.text()
    assert [panel.map.kind.itemText(i) for i in range(panel.map.kind.count())] == [
        m.capitalize()[:1] + m[1:] for m in maps
    ]
    assert panel.map.of_range.text() == "Probability"
    panel.map.kind.setCurrentIndex(1)
    panel.map._choose(1)
    shown = [layer for layer in panel.canvas.of_run(panel.session.runs[0].identity) if layer.visible]
    assert [layer.metadata["pathlupi"]["kind"] for layer in shown] == [maps[1]]

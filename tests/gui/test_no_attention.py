"""A model without attention in the panel."""

from pathlib import Path
from typing import Any

import pytest

from napari_pathlupi.core.results import NO_ATTENTION
from quick_model import save_quick_model

pytestmark = pytest.mark.gui


def test_a_model_without_attention_shows_no_map_and_says_so(window: Any, small_slide: Path, tmp_path: Path) -> None:
    save_quick_model(tmp_path / "flat", "mean")
    panel = window.panel
    panel.add_model(tmp_path / "flat")
    panel.open_slides([small_slide])
    panel.state_mpp(0.5)
    window.until(lambda: panel.predict_row.predict.isEnabled())
    panel.predict_row.predict.click()
    window.until(lambda: bool(panel.session.runs))
    panel.choose_run(panel.session.runs[0])
    window.look()
    assert window.kinds() == ["slide", "tissue"]
    assert not panel.map.isEnabled()
    assert NO_ATTENTION in panel.session.runs[0].prediction.notes
    assert NO_ATTENTION in panel.answer.remark.text()
    panel.outline_high_attention()
    assert window.kinds() == ["slide", "tissue"]

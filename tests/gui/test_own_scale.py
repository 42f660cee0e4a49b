"""The size of a pixel as a person states it: kept for another day, and for what was drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_pathlupi.slides import open_slide
from napari_pathlupi.workflows.embedding.scale import config_folder, remembered_mpp

pytestmark = pytest.mark.gui

TRIANGLE_UM = np.array([[10.0, 10.0], [10.0, 40.0], [40.0, 40.0]])


def test_a_stated_scale_is_remembered_and_own_shapes_stay_on_what_they_outline(
    window: Any, addressed_slide: Path
) -> None:
    panel, viewer = window.panel, window.viewer
    panel.open_slides([addressed_slide])
    own = viewer.add_shapes([TRIANGLE_UM], shape_type="polygon", units=("um", "um"), translate=(5, 0), name="mine")
    outlined = panel.canvas.outlines(panel.slide)[0].geometry
    panel.state_mpp(0.5)
    assert remembered_mpp(open_slide(addressed_slide).fingerprint).mean == 0.5
    assert panel.canvas.outlines(panel.slide)[0].geometry.equals_exact(outlined, 1e-6)
    assert np.allclose(own.translate, (10, 0)) and np.allclose(own.scale, 2)


def test_a_scale_that_cannot_be_remembered_is_used_and_said_to_be_so(window: Any, small_slide: Path) -> None:
    panel = window.panel
    window.ready(small_slide)
    config_folder().write_text("a file where the folder should be")
    panel.state_mpp(0.4)
    assert panel.slide.frame.mpp.mean == 0.4
    window.until(lambda: panel.predict_row.predict.isEnabled())
    assert panel.predict_row.sentence.text().startswith("0.4 µm/px is used, but cannot be remembered: ")

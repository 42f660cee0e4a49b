"""Maps that a person asks for: what the model claims of a gene set, and the difference between two runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_pathlupi.core.gene_sets import CLAIMED
from napari_pathlupi.panel_state import Extent
from napari_pathlupi.widgets._map import ANOTHER_SET, DIFFERENCE
from napari_pathlupi.widgets._viewer import facts_of

pytestmark = pytest.mark.gui
E2F = "HALLMARK_E2F_TARGETS"


def choose(window: Any, beginning: str) -> None:
    view = window.panel.map
    index = next(i for i, kind in enumerate(view._kinds) if kind.startswith(beginning))
    view.kind.setCurrentIndex(index)
    view._choose(index)


def ask(window: Any, name: str) -> None:
    field = window.panel.map.gene_set
    field.setCurrentIndex(field.findText(name))
    field.activated.emit(field.currentIndex())


def visible(window: Any) -> list[str]:
    told = [(facts_of(layer), layer) for layer in window.viewer.layers]
    return [facts["kind"] for facts, layer in told if layer.visible and facts.get("run")]


@pytest.fixture
def run_of_demo(window: Any, small_slide: Path) -> Any:
    window.panel._choose_model(window.panel.models.titles.index("Demo model (simulated slides)"))
    window.ready(small_slide)
    window.predict()
    return window


def test_a_gene_set_is_mapped_in_the_background_and_is_said_to_be_a_claim(run_of_demo: Any, tmp_path: Path) -> None:
    window, panel = run_of_demo, run_of_demo.panel
    assert panel.map.shown == "attention"
    assert panel.map.gene_set.count() == 50
    assert not panel.map.gene_set.isVisible()
    choose(window, ANOTHER_SET)
    assert panel.map.gene_set.isVisible()
    assert CLAIMED in panel.map.said.text()
    ask(window, E2F)
    window.until(lambda: panel.map.shown == f"gene set {E2F}")
    assert visible(window) == [f"gene set {E2F}"]
    made = panel.run.prediction.gene_sets.maps[E2F]
    assert made.words in panel.map.said.text()
    assert panel.map.said.text().startswith("Not supported on this slide.")  # it is unlike those of the demo
    assert panel.run is panel.session.runs[0]
    (layer,) = [layer for layer in panel.canvas.of_run(panel.run.identity) if layer.visible]
    wanted = panel.run.prediction.grid.raster(made.drawn, "").values
    np.testing.assert_array_equal(layer.data, wanted)
    assert layer.name.startswith("Claimed: ")
    panel.map.range.setValue((0.5, 0.9))
    below, above = layer.colormap.map(np.array([0.5 + 0.2, 0.97]))
    assert (below[3], above[3]) == pytest.approx((0, 1), abs=1e-6)

    cell = tuple(panel.run.prediction.grid.cells[int(np.nanargmax(made.values))])
    panel.map.tell(panel.run, cell)
    assert f"raises the claimed {made.claim:+.2f}" in panel.map.said.text()
    panel.export_to(tmp_path)
    assert f"gene_set_{E2F}" in pd.read_csv(tmp_path / "CMU-1-Small-Region.csv").columns


def test_the_difference_of_two_runs_on_the_same_tiles_is_a_map(run_of_demo: Any) -> None:
    window, panel = run_of_demo, run_of_demo.panel
    panel._choose_model(len(panel.models.titles) - 1)
    window.until(panel.predict_row.predict.isEnabled)
    window.predict()
    assert visible(window) == ["attention"]  # of the run that is shown alone
    choose(window, DIFFERENCE)
    window.until(lambda: visible(window) == [panel.map.shown])
    first, second = (run.prediction.percentile for run in panel.session.runs)
    (layer,) = [layer for layer in panel.canvas.of_run(panel.run.identity) if layer.visible]
    drawn = panel.run.prediction.grid.raster(second - first, "").values
    np.testing.assert_array_equal(layer.data, drawn)
    assert "minus that of" in panel.map.said.text()
    assert ANOTHER_SET not in panel.map._kinds  # this model knows no gene set


def test_runs_on_other_tiles_are_not_compared_and_the_panel_says_why(run_of_demo: Any) -> None:
    window, panel = run_of_demo, run_of_demo.panel
    window.viewer.scene.camera.zoom *= 2
    panel.choose_extent(Extent.VIEW)
    window.until(panel.predict_row.predict.isEnabled)
    window.predict()
    choose(window, DIFFERENCE)
    assert "looked at other tiles" in panel.map.said.text()
    assert visible(window) == [panel.map.shown] == ["attention"]


def test_a_run_whose_tile_vectors_are_gone_says_so(run_of_demo: Any) -> None:
    panel = run_of_demo.panel
    panel.session.features._kept.clear()
    ask(run_of_demo, E2F)
    assert "not kept any more: predict again" in panel.predict_row.sentence.text()
    assert "gene set" not in " ".join(run_of_demo.kinds())

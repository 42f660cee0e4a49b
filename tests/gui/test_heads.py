"""Probes and prompts on a trained slide encoder, as models in the panel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream_data import write_rows
from feature_files import write_h5
from napari_pathlupi.core.cohort import Endpoint
from napari_pathlupi.core.embeddings import Embeddings
from napari_pathlupi.core.progress import run
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.widgets._nearest import PROFILES
from napari_pathlupi.workflows.demo import IDENTITY
from napari_pathlupi.workflows.downstream.config import ProbeSettings
from napari_pathlupi.workflows.downstream.head import HeadStudy, make_head_steps
from napari_pathlupi.workflows.downstream.slide_embedding import bags_in, embedder, encode_slides_steps, save_embeddings
from napari_pathlupi.workflows.downstream.task import DownstreamTask
from quick_model import save_quick_model

pytestmark = pytest.mark.gui
CASES = 18
STATED = Stated(encoder="stain-texture", mpp=0.5, tile_px=256)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained encoder with two heads, and tiles of made-up slides with a class and a survival."""
    place, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(1)
    save_quick_model(place / "encoder", "threads")
    at = {"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20}
    (place / "bags").mkdir()
    rows = []
    for number in range(CASES):
        name, corners = f"case-{number:02}", np.stack(np.divmod(np.arange(6), 3), axis=1) * 256
        bag = rng.normal(size=(6, IDENTITY.dim)).astype(np.float32) + number % 2
        write_h5(place / "bags" / f"{name}.h5", {"features": bag, "coords": corners}, coords=at)
        rows.append(
            [name, ("wild type", "mutated")[number % 2], round(100 + rng.exponential(500)), int(number % 3 > 0)]
        )
    write_rows(place / "cases.csv", ["case_id", "IDH", "OS_days", "OS_event"], rows)
    return place


def head(place: Path, name: str, endpoint: Endpoint, *, prompts: bool = False) -> Path:
    task = DownstreamTask(name, str(place / "cases.csv"), endpoint)
    support = None
    if prompts:  # stand for transcriptomes: the slides' own vectors, a little moved
        slides = run(
            encode_slides_steps(embedder(place / "encoder", IDENTITY), bags_in(place / "bags", STATED))
        ).embeddings
        support = Embeddings(slides.names, slides.vectors * np.float32(1.1))
    settings = ProbeSettings(folds=2, resamples=100)
    study = HeadStudy(str(place / "bags"), str(place / "encoder"), task, support, settings, STATED, title=name)
    run(make_head_steps(place / name, study))
    return place / name


def predicted(window: Any, model: Path, slide: Path) -> Any:
    window.panel.add_model(model)
    window.ready(slide)
    window.panel.predict_row.predict.click()
    window.until(lambda: bool(window.panel.session.runs))
    window.until(lambda: "head 2: attention percentile" in window.kinds())
    return window.panel


def test_a_probe_is_a_model_of_the_panel_with_a_layer_for_each_head(
    window: Any, cohort: Path, small_slide: Path
) -> None:
    panel = predicted(window, head(cohort, "IDH probe", Endpoint.classification("IDH")), small_slide)
    names = {row.label for row in panel.run.prediction.answer.rows()}
    assert names == {"wild type", "mutated"}
    assert {"attention", "head 1: attention percentile"} <= set(panel.map._kinds)
    assert panel.run.prediction.provenance.model == "IDH probe"


def test_prompts_are_a_model_of_the_panel_and_a_slide_is_near_to_some_profiles(
    window: Any, cohort: Path, small_slide: Path
) -> None:
    panel = predicted(window, head(cohort, "prompts", Endpoint.classification("IDH"), prompts=True), small_slide)
    assert len(panel.run.prediction.answer.rows()) == 2
    embedding = panel.run.prediction.embedding
    steps = np.arange(1, 3, dtype=np.float32)[:, None] * np.ones_like(embedding.vector)
    save_embeddings(Embeddings(("mutated case", "wild case"), embedding.vector + steps), cohort / "profiles")
    panel.nearest.look_up(cohort / "profiles", PROFILES)
    window.until(lambda: panel.nearest.table.rowCount() == 2)
    assert "Nearest of 2 molecular profiles: mutated case" in panel.nearest.said.text()
    panel.nearest.table.show_rows([("TCGA-A1-0001-01Z-00-DX1.5f3c2b1a-0000-0000-0000", "1.5")])
    for table in (panel.nearest.table, panel.runs.table):
        widths = [table.columnWidth(column) for column in range(table.columnCount())]
        assert sum(widths) <= table.viewport().width()  # no column is out of sight


def test_a_probe_of_survival_tells_a_risk_in_the_panel(window: Any, cohort: Path, small_slide: Path) -> None:
    endpoint = Endpoint.survival("OS_days", event="OS_event")
    panel = predicted(window, head(cohort, "survival probe", endpoint), small_slide)
    assert panel.run.prediction.answer.headline
    assert "subtypes" not in window.kinds()

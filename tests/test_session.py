from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from shapely import box

from handmade import FRAME, a_grid, a_prediction
from napari_pathlupi.core.progress import Progress
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.core.tissue import TissueMask
from napari_pathlupi.errors import Cancelled, InferenceError, NoTissueError, OutputError
from napari_pathlupi.export.geojson import read_regions
from napari_pathlupi.panel_state import Extent, Phase, resolve
from napari_pathlupi.runs import UNLIKE, Run, end_words, export, export_regions
from napari_pathlupi.session import Session
from napari_pathlupi.workflows.prediction.predict import Plan, PredictConfig

TISSUE = TissueMask(np.ones((4, 4), np.uint8), (600.0, 600.0))
PLAN = Plan(TISSUE, a_grid(), "CPU")
SLIDE: Any = SimpleNamespace(path=Path("case-017.svs"), frame=FRAME)
BUNDLE: Any = SimpleNamespace(card=SimpleNamespace(title="Demo model"))


@pytest.fixture
def session() -> Session:
    """Ready to predict."""
    session = Session()
    session.choose_config(PredictConfig())
    session.choose_slide(SLIDE)
    session.choose_model(BUNDLE)
    check = session.check()
    assert check is not None
    session.checked(check, PLAN)
    return session


@pytest.fixture
def run() -> Iterator[Run]:
    yield Run("abcdef", FRAME, "whole tissue", a_prediction())


def test_nothing_is_checked_until_slide_scale_and_model_are_there() -> None:
    session = Session()
    session.choose_config(PredictConfig())
    assert session.check() is None
    session.choose_slide(SimpleNamespace(path=Path("a.tif"), frame=replace(FRAME, mpp=None)))
    session.choose_model(BUNDLE)
    assert session.check() is None
    session.choose_slide(SLIDE)
    assert session.check() is not None
    session.choose_extent(Extent.REGIONS)
    assert session.check() is None
    session.choose_extent(Extent.REGIONS, [box(0, 0, 9, 9)])
    assert session.check() is not None


def test_a_check_that_was_overtaken_changes_nothing(session: Session) -> None:
    old = session.check()
    assert old is not None
    session.choose_model(BUNDLE)
    session.checked(old, PLAN)
    assert session.plan is None


def test_other_settings_need_another_check_and_the_same_again_do_not(session: Session) -> None:
    session.choose_config(PredictConfig())
    session.choose_extent(Extent.WHOLE)
    assert session.plan is PLAN and not session.unchecked
    session.choose_config(PredictConfig(min_coverage=0.9))
    assert session.plan is None and session.unchecked
    check = session.check()
    assert check is not None and check.config.min_coverage == 0.9


def test_a_run_that_ends_while_another_slide_is_looked_at_says_of_which_it_was(session: Session) -> None:
    session.begin()
    session.choose_slide(SimpleNamespace(path=Path("b.svs"), frame=FRAME))
    session.ended(whole(supported=True))
    assert session.facts.notice.startswith("case-017.svs: Read 30 tiles")


def test_why_a_slide_cannot_be_judged_is_the_sentence(session: Session) -> None:
    check = session.check()
    assert check is not None
    session.checked(check, NoTissueError("No tissue was found (glass 100 %)."))
    state = resolve(session.facts)
    assert not state.can_predict
    assert state.sentence == "No tissue was found (glass 100 %)."


def test_a_run_goes_from_ready_to_kept(session: Session) -> None:
    grown, kept = [], []
    session.growing.connect(grown.append)
    session.finished.connect(kept.append)
    job = session.begin()
    assert session.facts.phase is Phase.RUNNING
    session.progressed(Progress("Reading", 1, 2, partial=a_prediction()))
    session.ended(a_prediction())
    assert session.facts.phase is Phase.IDLE
    assert [run.identity for run in grown] == [job.identity]
    assert kept == session.runs
    assert session.runs[0].identity == job.identity


def test_a_second_run_is_kept_beside_the_first(session: Session) -> None:
    for _ in range(2):
        session.begin()
        session.ended(a_prediction())
    assert len({run.identity for run in session.runs}) == 2


def test_one_run_at_a_time(session: Session) -> None:
    session.begin()
    with pytest.raises(RuntimeError):
        session.begin()


def test_cancel_asks_the_work_to_stop_and_keeps_what_was_read(session: Session) -> None:
    job = session.begin()
    session.cancel()
    assert job.cancel
    assert session.facts.phase is Phase.CANCELLING
    session.ended(a_prediction())
    assert session.runs[0].prediction.partial
    assert session.facts.notice.startswith("Stopped at 97 %")


@pytest.mark.parametrize("error", [Cancelled("Stopped before the first tile."), InferenceError("The GPU failed.")])
def test_a_run_that_failed_is_one_sentence_and_leaves_nothing(session: Session, error: Any) -> None:
    session.begin()
    session.ended(error)
    assert session.runs == []
    assert resolve(session.facts).sentence == str(error)
    assert resolve(session.facts).can_predict


def test_choosing_another_slide_while_running_keeps_the_run_for_its_own_slide(session: Session) -> None:
    session.begin()
    session.choose_slide(None)
    session.ended(a_prediction())
    assert session.runs[0].frame is FRAME


def whole(*, supported: bool) -> Prediction:
    return replace(a_prediction(np.ones((5, 6)), supported=supported), notes=())


def test_a_slide_unlike_the_models_own_is_said_to_be_so() -> None:
    assert end_words(whole(supported=False), 3.0, stopped=False) == UNLIKE
    assert end_words(whole(supported=True), 3.0, stopped=False) == "Read 30 tiles in 3 s."


def test_an_unsupported_answer_is_no_subtype(run: Run) -> None:
    assert replace(run, prediction=whole(supported=False)).answer == "not supported"
    assert replace(run, prediction=whole(supported=True)).answer == "Demo <B> 82 %"


def test_an_export_writes_every_format_and_the_regions_back_to_where_they_were(run: Run, tmp_path: Path) -> None:
    drawn = AnnotatedRegion(box(100, 200, 300, 500), name="Tumour")
    files = export(run, tmp_path / "new", [drawn])
    assert all(file.is_file() and file.stat().st_size for file in files)
    assert not set(export(run, tmp_path / "new", [drawn])) & set(files)
    (read,) = read_regions(files[-1], FRAME)
    assert read.geometry.equals(drawn.geometry)


def test_regions_are_numbered_with_the_rest_and_never_overwritten(run: Run, tmp_path: Path) -> None:
    drawn = AnnotatedRegion(box(100, 200, 300, 500), name="Tumour")
    *others, first = export(run, tmp_path, [drawn])
    before = first.read_bytes()
    for file in others:
        file.unlink()
    assert all(file.name.startswith("case <17> & co.2.") for file in export(run, tmp_path))
    assert all(file.name.startswith("case <17> & co.3.") for file in export(run, tmp_path, [drawn]))
    (alone,) = export_regions("case <17> & co.svs", FRAME, tmp_path, [drawn])
    assert alone.name == "case <17> & co.2.regions.geojson"
    assert first.read_bytes() == before


def test_an_export_to_where_nothing_can_be_written_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another folder"):
        export(run, tmp_path / "file" / "folder")


def test_a_prediction_begins_in_the_middle_of_what_is_in_view(session: Session) -> None:
    order = session.begin(box(2000, 1800, 2400, 2000)).plan.order
    assert order is not None
    assert sorted(order) == list(range(len(PLAN.grid)))
    assert order[0] == len(PLAN.grid) - 1


def test_tissue_that_was_found_is_not_looked_for_again_until_another_slide_is_chosen(session: Session) -> None:
    session.choose_config(PredictConfig(min_coverage=0.25))
    check = session.check()
    assert check is not None and check.tissue is TISSUE
    session.choose_slide(SLIDE)
    check = session.check()
    assert check is not None and check.tissue is None


def test_tissue_that_a_person_painted_counts_before_what_was_found(session: Session) -> None:
    painted = TISSUE.edited(np.zeros((4, 4), np.uint8))
    session.choose_tissue(painted)
    assert session.plan is None
    check = session.check()
    assert check is not None and check.tissue is painted
    session.checked(check, replace(PLAN, tissue=painted))
    session.choose_tissue(TISSUE.edited(np.zeros((4, 4), np.uint8)))
    assert session.plan is not None and session.plan.sentence.endswith("tissue edited by hand")


def test_tissue_painted_where_there_was_none_is_asked_for_again(session: Session) -> None:
    none = TissueMask(np.zeros((4, 4), np.uint8), (600.0, 600.0))
    check = session.check()
    assert check is not None
    session.checked(check, NoTissueError("No tissue was found (glass 100 %).", none))
    session.choose_tissue(none.edited(np.ones((4, 4), np.uint8)))
    assert not session.facts.problem and session.unchecked


def test_a_run_has_the_time_at_which_it_began_however_far_it_is(session: Session) -> None:
    job, prediction = session.begin(), a_prediction()
    later = replace(prediction, provenance=replace(prediction.provenance, created="2026-01-02T14:05:00+00:00"))
    runs = [job.as_run(prediction), job.as_run(later)]
    assert {run.prediction.provenance.created for run in runs} == {job.created}
    assert session.goes_on(runs[0])
    session.ended(later)
    assert not session.goes_on(runs[0])

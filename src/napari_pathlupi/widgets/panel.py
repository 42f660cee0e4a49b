"""The dock widget: one slide, one model, one button, and what came of it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QScrollArea, QWidget

from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.panel_state import Extent, Phase, resolve
from napari_pathlupi.runs import Run, export, export_regions
from napari_pathlupi.session import Check, Session
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._answer import AnswerView
from napari_pathlupi.widgets._choices import ExtentRow, ModelRow, SlideRow
from napari_pathlupi.widgets._map import MapView
from napari_pathlupi.widgets._models import Models
from napari_pathlupi.widgets._parts import Fold, column, sentence
from napari_pathlupi.widgets._predict import PredictRow
from napari_pathlupi.widgets._results import RegionsView, RunsView
from napari_pathlupi.widgets._settings import export_folder, predict_config
from napari_pathlupi.widgets._ties import Ties
from napari_pathlupi.widgets._viewer import Canvas
from napari_pathlupi.widgets._work import Work, at_once

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from shapely.geometry.base import BaseGeometry

    from napari_pathlupi.workflows.predict import Plan

_SETTLE_MS = 250
"""Choices and strokes that follow each other within this time are one change (our choice)."""

_SESSIONS: "WeakKeyDictionary[Viewer, Session]" = WeakKeyDictionary()


class Panel(QWidget):
    """Everything that a pathologist needs to predict on a slide and to judge the answer.

    Parameters
    ----------
    napari_viewer
        The viewer whose slides and regions it works on. Closing and opening the panel again keeps its runs.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self.canvas = Canvas(napari_viewer)
        self.session = _SESSIONS.setdefault(napari_viewer, Session())
        self.models = Models()
        self.slide_row, self.model_row, self.extent_row = SlideRow(), ModelRow(), ExtentRow()
        self.predict_row, self.answer, self.map = PredictRow(), AnswerView(), MapView()
        self.regions, self.runs = RegionsView(), RunsView()
        self.slide: Slide | None = None
        self.run: Run | None = None
        self._extent = Extent.WHOLE
        self._where: tuple[Extent, list[BaseGeometry]] = (Extent.WHOLE, [])
        self._shown: set[str] = {run.identity for run in self.session.runs}
        self._settle = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settle.timeout.connect(self._look_again)
        self._add_layers = QTimer(self, interval=_SETTLE_MS)
        self._add_layers.timeout.connect(self._add_layer)
        self._ties, self._strokes = Ties(), Ties()
        self._lay_out()
        self._tie_rows()
        self._tie_viewer()
        self._show_models()
        self._take_slide(None)
        self._layers_changed()
        if self.session.runs:
            self._show_run(self.session.runs[-1])

    def _lay_out(self) -> None:
        views = {"Answer": self.answer, "Map": self.map, "Regions": self.regions, "Runs": self.runs}
        self.folds = {words: Fold(words, view) for words, view in views.items()}
        inner = QWidget()
        rows = self.slide_row, self.model_row, self.extent_row, self.predict_row
        column(*rows, *self.folds.values(), into=inner, margin=6).addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        column(area, sentence("Research use only. Not a diagnostic device."), into=self, margin=2)
        self.setMinimumWidth(340)
        self.folds["Answer"].hide()
        self.folds["Map"].hide()

    def _tie_rows(self) -> None:
        self.slide_row.chosen.connect(lambda index: self._take_slide(self.canvas.slides()[index]))
        self.slide_row.open_asked.connect(self._ask_for_slides)
        self.slide_row.mpp_stated.connect(self.state_mpp)
        self.model_row.chosen.connect(self._model_chosen)
        self.extent_row.chosen.connect(self.choose_extent)
        self.predict_row.predict_asked.connect(self.predict)
        self.predict_row.cancel_asked.connect(self.session.cancel)
        self.predict_row.hint_taken.connect(self._take_hint)
        self.regions.draw_asked.connect(self._draw)
        self.runs.chosen.connect(lambda index: self._show_run(self.session.runs[index]))
        self.runs.export_asked.connect(self._ask_for_folder)

    def _tie_viewer(self) -> None:
        viewer, ties, strokes, session = self.canvas.viewer, self._ties, self._strokes, self.session
        for emitter in (
            viewer.layers.events.inserted,
            viewer.layers.events.removed,
            viewer.layers.selection.events.active,
        ):
            ties.connect(emitter, self._layers_changed)
        ties.connect(viewer.scene.camera.events, self._view_moved)
        ties.add_to(viewer.mouse_move_callbacks, self._mouse_moved)
        ties.connect(session.changed, self._show_state)
        ties.connect(session.growing, self._grown)
        ties.connect(session.finished, self._grown)
        ties.also(strokes.cut)
        ties.also(session.cancel)
        self.destroyed.connect(partial(Ties.cut, ties))

    # What a person does

    def open_slides(self, paths: Sequence[str | Path]) -> None:
        """Open files as slides, whatever napari would do with them."""
        self.canvas.add_slides(paths)

    def state_mpp(self, mpp: float) -> None:
        """Take µm per pixel of level 0 from the user, for the chosen slide."""
        if self.slide is not None:
            self.slide.state_mpp(mpp)
            self.canvas.place(self.slide.fingerprint, self.slide.mpp)
            self._take_slide(self.slide)

    def add_model(self, folder: Path) -> None:
        """Add the model in a folder to the list and choose it."""
        self.models.add(folder)
        self._show_models()

    def choose_extent(self, extent: Extent) -> None:
        """Predict there from now on."""
        self._extent = extent
        self.extent_row.buttons[extent].setChecked(True)
        self._look_again()

    def predict(self) -> None:
        """Start a prediction, if there is a plan for one."""
        if self.session.plan is None or self.session.facts.phase is not Phase.IDLE:
            return
        job = self.session.begin()
        work = Work(job.steps, f"Predicting on {job.check.slide.path.name}")
        work.progressed.connect(self.session.progressed)
        work.ended.connect(self.session.ended)

    def export_to(self, folder: Path) -> list[Path]:
        """Write the chosen run and all regions to a folder; return the files.

        Raises
        ------
        OutputError
            When the folder cannot be written.
        """
        return self._exporter(folder)()

    def _exporter(self, folder: Path) -> Callable[[], list[Path]]:
        if self.run is not None:
            return partial(export, self.run, folder, self._outlines())
        if self.slide is not None:
            return partial(export_regions, self.slide.path.name, self.slide.frame, folder, self._outlines())
        return list

    def _ask_for_folder(self) -> None:
        stated = export_folder()
        beside = str(self.slide.path.parent) if self.slide else ""
        chosen = stated or QFileDialog.getExistingDirectory(self, "Export to", beside)
        if chosen:
            self.runs.say("Writing …")
            Work(at_once(self._exporter(Path(chosen))), "Exporting").ended.connect(self.runs.show_exported)

    def _ask_for_slides(self) -> None:
        beside = str(self.slide.path.parent) if self.slide else ""
        self.open_slides(QFileDialog.getOpenFileNames(self, "Open slides", beside)[0])

    def _model_chosen(self, index: int) -> None:
        if index < len(self.models.titles):
            self.models.current = index
        elif folder := QFileDialog.getExistingDirectory(self, "Folder of a model"):
            self.models.add(Path(folder))
        self._show_models()

    def _take_hint(self, action: str) -> None:
        if action == "reopen":
            self.canvas.reopen_plain_image()
        elif action == "mpp:":
            self.slide_row.ask_mpp()
        else:
            self.state_mpp(float(action.removeprefix("mpp:")))

    def _draw(self) -> None:
        if self.slide is not None:
            self.canvas.draw_regions(self.slide)

    # What follows from it

    def _layers_changed(self) -> None:
        slides = self.canvas.slides()
        wanted = self.canvas.chosen() or (self.slide if self.slide in slides else next(iter(slides), None))
        plain = self.canvas.plain_image() if wanted is None else None
        if wanted is not self.slide or wanted is None:
            self._take_slide(wanted, plain.name if plain else "")
        else:
            self._show_slides()
        if self.run is not None:
            self.map.steer(self.canvas.of_run(self.run.identity))
        self._strokes.cut()
        for layer in self.canvas.shapes(self.slide) if self.slide else ():
            for emitter in (layer.events.data, layer.events.highlight, layer.events.features, layer.events.visible):
                self._strokes.connect(emitter, self._settle_soon)
        self._settle_soon()

    def _settle_soon(self) -> None:
        self._settle.start()

    def _take_slide(self, slide: Slide | None, plain_image: str = "") -> None:
        if slide is not None and slide is not self.slide:
            self.canvas.bring_up(slide)
        self.slide = slide
        self.session.choose_slide(slide, plain_image)
        self._show_slides()

    def _show_slides(self) -> None:
        slides = self.canvas.slides()
        current = slides.index(self.slide) if self.slide in slides else -1
        self.slide_row.show_slides([slide.path.name for slide in slides], current, self.slide)

    def _show_models(self) -> None:
        self.model_row.show_models(self.models.titles, self.models.current, self.models.bundle)
        self.session.choose_model(self.models.bundle, self.models.problem)

    def _outlines(self) -> list[AnnotatedRegion]:
        return self.canvas.outlines(self.slide) if self.slide else []

    def _look_again(self) -> None:
        """Bring regions, extent and plan up to date with what was chosen and drawn."""
        drawn = self._outlines()
        selected = self.canvas.outlines(self.slide, selected_only=True) if self.slide else []
        self.extent_row.show_regions(len(selected or drawn), bool(selected))
        self.regions.show_regions(drawn, self.slide.frame.mpp if self.slide else None, self.run)
        where: list[BaseGeometry] = []
        if self._extent is Extent.REGIONS:
            where = [region.geometry for region in selected or drawn]
        elif self._extent is Extent.VIEW and self.slide is not None:
            where = [view] if (view := self.canvas.view(self.slide)) else []
        if (self._extent, where) != self._where:
            self._where = self._extent, where
            self.session.choose_extent(self._extent, where)
        if not self.session.unchecked or self.session.facts.phase is not Phase.IDLE:
            return
        check = self.session.check(predict_config())
        if check is not None:
            Work(at_once(check.run), "Looking for tissue").ended.connect(partial(self._checked, check))

    def _checked(self, check: Check, outcome: "Plan | PathlupiError") -> None:
        self.session.checked(check, outcome)
        if self.session.plan is not None and check.slide is self.slide:
            self.canvas.show_tissue(check.slide, self.session.plan.tissue)

    def _view_moved(self) -> None:
        if self._extent is Extent.VIEW:
            self._settle_soon()

    def _mouse_moved(self, viewer: Any, event: Any) -> None:
        if self.run is not None:
            self.map.tell(self.run, self.canvas.cell_under_cursor(self.run))

    def _show_state(self) -> None:
        facts = self.session.facts
        self.predict_row.show_state(resolve(facts), facts)
        if self.session.unchecked:
            self._settle.start()

    def _grown(self, run: Run) -> None:
        """Show a prediction as far as it is; they come no faster than a window can paint them."""
        if run.identity in self._shown:
            self.canvas.grow(run)
        else:
            self._shown.add(run.identity)
            self.canvas.show(run)
            self._add_layers.start()
        self._show_run(run)

    def _add_layer(self) -> None:
        if not self.canvas.add_next():
            self._add_layers.stop()

    def _show_run(self, run: Run) -> None:
        self.run = run
        self.answer.show_prediction(run.prediction)
        self.map.steer(self.canvas.of_run(run.identity))
        self.runs.show_runs(self.session.runs, run)
        self.folds["Answer"].show()
        self.folds["Map"].show()
        self._settle_soon()

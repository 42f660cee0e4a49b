"""The dock widget: one slide, one model, one button, and what came of it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer

from napari_pathlupi.core.regions import NO_REGION, high_attention_regions
from napari_pathlupi.core.results import NO_ATTENTION
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.panel_state import Extent, Phase, resolve
from napari_pathlupi.runs import Run
from napari_pathlupi.session import Check
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._attach import attach
from napari_pathlupi.widgets._export import exporter
from napari_pathlupi.widgets._sections import Sections
from napari_pathlupi.widgets._settings import SETTLE_MS, predict_config, prediction_events
from napari_pathlupi.widgets._ties import Ties
from napari_pathlupi.widgets._tissue import show_tissue, take_tissue, tissue_strokes
from napari_pathlupi.widgets._upkeep import Upkeep
from napari_pathlupi.widgets._viewer import Canvas
from napari_pathlupi.widgets._work import Work, at_once

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from shapely.geometry.base import BaseGeometry

    from napari_pathlupi.workflows.prediction.predict import Plan


class Panel(Sections):
    """Everything that a pathologist needs to predict on a slide and to judge the answer.

    Closing the panel stops nothing (our choice): a prediction goes on, its map grows, and the panel opened again has
    its runs. Closing the viewer stops it.

    Parameters
    ----------
    napari_viewer
        The viewer whose slides and regions it works on.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__()
        self.canvas, self._upkeep = Canvas(napari_viewer), Upkeep.of(napari_viewer)
        self.session, self.models = self._upkeep.session, self._upkeep.models
        self.slide: Slide | None = None
        self.run: Run | None = None
        self._extent = self.session.facts.extent
        self._growing = ""
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._look_again)
        self._ties, self._strokes = Ties(), Ties()
        self._tie_rows()
        self._tie_viewer()
        self.extent_row.buttons[self._extent].setChecked(True)
        self._settings_changed()
        self._show_models()
        self._show_run(None)
        self._layer_chosen()

    def _tie_rows(self) -> None:
        self.slide_row.chosen.connect(lambda index: self._take_slide(self.canvas.slides()[index]))
        self.slide_row.files_chosen.connect(self.open_slides)
        self.slide_row.mpp_stated.connect(self.state_mpp)
        self.slide_row.features_chosen.connect(lambda path: attach(path, self.slide, self.models.bundle, self.session))
        self.model_row.chosen.connect(self._choose_model)
        self.model_row.folder_chosen.connect(self.add_model)
        self.extent_row.chosen.connect(self.choose_extent)
        self.predict_row.predict_asked.connect(self.predict)
        self.predict_row.cancel_asked.connect(self.session.cancel)
        self.predict_row.hint_taken.connect(self._take_hint)
        self.map.gene_set_asked.connect(self._upkeep.map_gene_set)
        self.map.picture_made.connect(self._upkeep.show_picture)
        self.regions.draw_asked.connect(self._draw)
        self.regions.threshold_asked.connect(self.outline_high_attention)
        self.runs.chosen.connect(lambda index: self.choose_run(self.session.runs[index]))
        self.runs.export_asked.connect(self._export)

    def _tie_viewer(self) -> None:
        viewer, ties, strokes, session = self.canvas.viewer, self._ties, self._strokes, self.session
        for emitter in (viewer.layers.events.inserted, viewer.layers.events.removed):
            ties.connect(emitter, self._layers_changed)
        ties.connect(viewer.layers.selection.events.active, self._layer_chosen)
        ties.connect(prediction_events(), self._settings_changed)
        ties.connect(viewer.scene.camera.events, self._view_moved)
        ties.add_to(viewer.mouse_move_callbacks, self._mouse_moved)
        ties.connect(session.changed, self._show_state)
        ties.connect(session.growing, self._grown)
        ties.connect(session.finished, self._grown)
        self.background.follow(ties)
        ties.also(strokes.cut)
        ties.also(self._settle.stop)
        self.destroyed.connect(partial(Ties.cut, ties))

    def changeEvent(self, event: QEvent) -> None:
        """End with the window's dock: napari only takes the panel out of it, and does not destroy it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._ties.cut()
            self.deleteLater()
        super().changeEvent(event)

    # What a person does

    def open_slides(self, paths: Sequence[str | Path]) -> None:
        """Open files and folders as slides, whatever napari would do with them."""
        self.canvas.add_slides(paths)

    def state_mpp(self, mpp: float) -> None:
        """Take µm per pixel of level 0 from the user, for the chosen slide, unless a prediction is going on."""
        if self.slide is None or self.session.facts.phase is not Phase.IDLE:
            return
        trouble = self._upkeep.state_mpp(self.slide, mpp)
        self._take_slide(self.slide)
        self.session.say(trouble)

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
        self._settings_changed()
        if self.session.plan is None or self.session.facts.phase is not Phase.IDLE:
            return
        job = self.session.begin(self.canvas.view(self.slide) if self.slide else None)
        work = Work(job.steps, f"Predicting on {job.check.slide.path.name}")
        work.progressed.connect(self.session.progressed)
        work.ended.connect(self.session.ended)

    def choose_run(self, run: Run) -> None:
        """Show a run, with its slide if that is open."""
        slide = self.canvas.slide(run.fingerprint)
        if slide is not None and run.fingerprint != self._fingerprint:
            self._take_slide(slide)
        self._show_run(run)

    def outline_high_attention(self) -> None:
        """Take the regions with high attention, from the lower end of the percentiles on, over among the drawn ones."""
        run, slide = self._run_here, self.slide
        if run is None or slide is None:
            return
        found = high_attention_regions(run.prediction, slide.frame, self.map.lowest)
        self.regions.say("" if found else NO_REGION if run.prediction.maps else NO_ATTENTION)
        if found:
            self.canvas.add_regions(slide, found)

    def export_to(self, folder: Path) -> list[Path]:
        """Write the chosen run and the regions of its slide to a folder; return the files, or raise OutputError."""
        return exporter(self.canvas, self.slide, self.run, folder)()

    def _export(self, folder: Path) -> None:
        Work(at_once(exporter(self.canvas, self.slide, self.run, folder)), "Exporting").ended.connect(
            self.runs.show_exported
        )

    def _choose_model(self, index: int) -> None:
        self.models.current = index
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

    @property
    def _fingerprint(self) -> str:
        return self.slide.fingerprint if self.slide else ""

    @property
    def _run_here(self) -> Run | None:
        """The run that is shown, where it is of the chosen slide."""
        return self.run if self.run is not None and self.run.fingerprint == self._fingerprint else None

    def _settings_changed(self) -> None:
        self.session.choose_config(predict_config())

    def _layer_chosen(self) -> None:
        self._follow_layers(self.canvas.chosen(self.slide))

    def _layers_changed(self) -> None:
        self._follow_layers(None)

    def _follow_layers(self, chosen: Slide | None) -> None:
        slides = self.canvas.slides()
        wanted = chosen or (self.slide if self.slide in slides else next(iter(slides), None))
        plain = self.canvas.plain_image() if wanted is None else None
        if wanted is not self.slide or wanted is None:
            self._take_slide(wanted, plain.name if plain else "")
        else:
            self._show_slides()
        if self.run is not None:
            self.map.steer(self.canvas.of_run(self.run.identity))
        self._strokes.cut()
        for emitter in (*self.canvas.strokes(self.slide), *tissue_strokes(self.canvas, self.slide)):
            self._strokes.connect(emitter, self._settle_soon)
        self._settle_soon()

    def _settle_soon(self) -> None:
        self._settle.start()

    def _take_slide(self, slide: Slide | None, plain_image: str = "") -> None:
        changed, self.slide = slide is not self.slide, slide
        if slide is not None and changed:
            self.canvas.bring_up(slide)
        self.session.choose_slide(slide, plain_image)
        self._show_slides()
        if changed:
            self._show_run(self._upkeep.latest_of(self._fingerprint))

    def _show_slides(self) -> None:
        slides = self.canvas.slides()
        current = slides.index(self.slide) if self.slide in slides else -1
        self.runs.beside = str(self.slide.path.parent) if self.slide else ""
        self.background.show_for(bool(slides))
        self.slide_row.show_slides([slide.path.name for slide in slides], current, self.slide)

    def _show_models(self) -> None:
        missing = self.model_row.show_models(self.models.titles, self.models.current, self.models.bundle)
        self.session.choose_model(self.models.bundle, self.models.problem or missing)

    def _look_again(self) -> None:
        """Bring regions, extent and plan up to date with what was chosen and drawn."""
        take_tissue(self.canvas, self.session, self.slide)
        drawn = self.canvas.outlines(self.slide)
        selected = self.canvas.outlines(self.slide, selected_only=True)
        self.extent_row.show_regions(len(selected or drawn), bool(selected))
        self.regions.allow(slide=self.slide is not None, run=self._run_here is not None)
        self.runs.allow_export(bool(self.run or drawn))
        self.regions.show_regions(drawn, self.slide.frame.mpp if self.slide else None, self._run_here)
        where: list[BaseGeometry] = []
        if self._extent is Extent.REGIONS:
            where = [region.geometry for region in selected or drawn]
        elif self._extent is Extent.VIEW and self.slide is not None:
            where = [view] if (view := self.canvas.view(self.slide)) else []
        self.session.choose_extent(self._extent, where)
        wanted = self.session.unchecked and self.session.facts.phase is Phase.IDLE
        if wanted and (check := self.session.check()) is not None:
            Work(at_once(check.run), "Looking for tissue").ended.connect(partial(self._checked, check))

    def _checked(self, check: Check, outcome: "Plan | PathlupiError") -> None:
        self.session.checked(check, outcome)
        if check.slide is self.slide:
            show_tissue(self.canvas, check.slide, outcome)

    def _view_moved(self) -> None:
        if self._extent is Extent.VIEW:
            self._settle_soon()

    def _mouse_moved(self, viewer: Any, event: Any) -> None:
        if self._run_here is not None and self.slide is not None:
            self.map.tell(self._run_here, self.canvas.cell_under_cursor(self._run_here, self.slide))

    def _show_state(self) -> None:
        facts = self.session.facts
        self.predict_row.show_state(resolve(facts), facts)
        self.slide_row.allow_change(facts.phase is Phase.IDLE)
        if self.session.unchecked:
            self._settle.start()

    def _grown(self, run: Run) -> None:
        """Show a prediction as far as it is, where its slide is looked at and no other run of it was chosen."""
        begins, self._growing = run.identity != self._growing, run.identity
        looked_at = begins or self.run is None or self.run.identity == run.identity
        self._show_run(run if looked_at and run.fingerprint == self._fingerprint else self.run)

    def _show_run(self, run: Run | None) -> None:
        if run is not None and (self.run is None or run.identity != self.run.identity):
            self.canvas.bring_up_run(run)
        self.run = run
        self.runs.show_runs(self.session.runs, run)
        self.folds["Answer"].setVisible(run is not None)
        self.folds["Map"].setVisible(run is not None)
        self.nearest.show_run(run)
        self.map.be_about(run, self.session.runs)
        self.map.steer(self.canvas.of_run(run.identity) if run else [])
        if run is not None:
            self.answer.show_prediction(run.prediction, final=not self.session.goes_on(run))
        self._settle_soon()

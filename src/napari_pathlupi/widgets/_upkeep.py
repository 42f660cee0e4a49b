"""What goes on in a viewer whether or not a panel is open."""

from dataclasses import replace
from functools import partial
from inspect import unwrap
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer

from napari_pathlupi import layers
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.runs import Picture, Run, gene_set_picture
from napari_pathlupi.session import Session
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._models import Models
from napari_pathlupi.widgets._viewer import Canvas, facts_of
from napari_pathlupi.widgets._work import Work, at_once
from napari_pathlupi.workflows.embedding.scale import remember_mpp

if TYPE_CHECKING:
    from napari.viewer import Viewer

_PACE_MS = 250
"""napari takes long to add a layer, so there is time for the user between two (our choice)."""
_OF_A_SLIDE = ("attention", "colour bar", "subtypes")


class Upkeep(QObject):
    """Keeps the slides of a viewer at the scale that was stated, and the maps of a session's runs up to date.

    Parameters
    ----------
    viewer
        napari's viewer; it is not kept alive.
    session
        Whose runs to show.
    """

    def __init__(self, viewer: "Viewer", session: Session) -> None:
        super().__init__()
        self.session, self.models = session, Models()
        self.runs: dict[str, Run] = {}
        self._viewer = ref(viewer)
        self._coming: list[tuple[str, str | Picture]] = []
        self._timer = QTimer(self, interval=_PACE_MS)
        self._timer.timeout.connect(self._add_next)
        session.growing.connect(self._show)
        session.finished.connect(self._show)
        viewer.layers.events.inserted.connect(self._layer_came)
        for slide in Canvas(viewer).slides():
            self._welcome(Canvas(viewer), slide)

    @classmethod
    def of(cls, viewer: "Viewer") -> "Upkeep":
        """Return that of a viewer, with a session, made when it is first asked for."""
        viewer = unwrap(viewer)  # napari gives each panel a proxy of its own
        if viewer not in _OF:
            _OF[viewer] = cls(viewer, Session())
        return _OF[viewer]

    def latest_of(self, fingerprint: str) -> Run | None:
        """Return the latest run on a slide, as far as it is."""
        return next((run for run in reversed(self.runs.values()) if run.fingerprint == fingerprint), None)

    def state_mpp(self, slide: Slide, mpp: float) -> str:
        """State µm per pixel of every slide of that content, open now or later.

        Returns
        -------
        str
            Why it cannot be remembered for another day, or "".
        """
        self.session.stated_mpp[slide.fingerprint] = mpp
        if (viewer := self._viewer()) is not None:
            canvas, before = Canvas(viewer), slide.frame.world_per_px0()
            canvas.state_mpp(slide.fingerprint, mpp)
            canvas.stretch_drawn(slide, slide.frame.world_per_px0() / before)
        try:
            remember_mpp(slide.fingerprint, mpp)
        except PathlupiError as error:
            return f"{mpp:g} µm/px is used, but cannot be remembered: {error}"
        return ""

    def _layer_came(self, event: Any) -> None:
        viewer, slide = self._viewer(), facts_of(event.value).get("slide")
        if viewer is not None and slide is not None:
            self._welcome(Canvas(viewer), slide)

    def _welcome(self, canvas: Canvas, slide: Slide) -> None:
        """Show the scale of a slide that was opened, as it was stated before where it was."""
        canvas.show_scale_bar()
        stated = self.session.stated_mpp.get(slide.fingerprint)
        if stated is not None and (slide.frame.mpp is None or slide.frame.mpp.mean != stated):
            canvas.state_mpp(slide.fingerprint, stated)
            show_info(f"{slide.path.name}: {stated:g} µm/px is used, as you stated it a while ago in this window.")

    def _show(self, run: Run) -> None:
        known, self.runs[run.identity] = run.identity in self.runs, run
        viewer = self._viewer()
        if not known:
            maps = list(run.prediction.maps)
            own = [*maps, "colour bar"] if run.prediction.classifies_tiles else [*_OF_A_SLIDE, *maps[1:]]
            self._coming += [(run.identity, what) for what in own if maps]
            self._timer.start()
        elif viewer is not None:
            _bring_up_to_date(Canvas(viewer), run)

    def map_gene_set(self, run: Run, name: str) -> None:
        """Show what the model of a run claims of a gene set; what is not made yet is made in the background."""
        told = run.prediction.gene_sets
        if told and name in told.maps:
            self.show_picture(run, gene_set_picture(run, name, told.maps[name]))
            return
        try:
            making = self.session.features.mapping(run, name)
        except PathlupiError as error:
            self.session.say(str(error))
            return
        Work(at_once(making), f"Mapping {name}").ended.connect(partial(self._mapped, name))

    def _mapped(self, name: str, outcome: Run | PathlupiError) -> None:
        if isinstance(outcome, PathlupiError):
            self.session.say(str(outcome))
            return
        known = self.runs[outcome.identity].prediction.gene_sets  # others may have been made meanwhile
        told = outcome.prediction.gene_sets
        if known and told:
            told = replace(told, maps={**known.maps, **told.maps})
            self.session.more_of(replace(outcome, prediction=replace(outcome.prediction, gene_sets=told)))
            self.show_picture(outcome, gene_set_picture(outcome, name, told.maps[name]))

    def show_picture(self, run: Run, picture: Picture) -> None:
        """Show one more map of a run."""
        self._coming.append((run.identity, picture))
        self._timer.start()

    def _add_next(self) -> None:
        viewer = self._viewer()
        if viewer is None or not self._coming:
            self._timer.stop()
            return
        identity, what = self._coming.pop(0)
        _add(Canvas(viewer), self.runs[identity], what)


_OF: "WeakKeyDictionary[Viewer, Upkeep]" = WeakKeyDictionary()


def _add(canvas: Canvas, run: Run, what: str | Picture) -> None:
    """Add one thing of a run, unless its slide was closed meanwhile."""
    slide, there = canvas.slide(run.fingerprint), canvas.of_run(run.identity)
    if slide is None:
        return
    everything = canvas.viewer.layers
    told = run.identity, slide.frame.mpp
    below = min((everything.index(layer) for layer in there), default=len(everything))
    above = canvas.of_slide(run.fingerprint, "regions")
    if isinstance(what, Picture):
        if what.kind not in [facts_of(layer)["kind"] for layer in there]:
            highest = max((everything.index(layer) + 1 for layer in there), default=below)
            canvas.add(layers.picture_layer(run.prediction, what, *told), highest).colorbar.visible = True
    elif what == "colour bar":
        for layer in there:
            layer.colorbar.visible = True
    elif what == "subtypes":
        if (made := layers.subtype_layer(run.prediction, *told)) is not None:
            canvas.add(made, below)
    else:
        place = below if there else min((everything.index(layer) for layer in above), default=len(everything))
        of_one = what in run.prediction.maps
        made = (
            layers.map_layer(run.prediction, what, *told) if of_one else layers.attention_layer(run.prediction, *told)
        )
        canvas.add(made, place)


def _bring_up_to_date(canvas: Canvas, run: Run) -> None:
    for layer in canvas.of_run(run.identity):
        kind = facts_of(layer)["kind"]
        if kind in run.prediction.maps:
            layer.data[...] = run.prediction.grid.raster(run.prediction.maps[kind], kind).values
        elif kind == "attention":
            layer.data[...] = layers.attention_raster(run.prediction).values
        elif kind == "subtypes":
            layer.data[...] = layers.subtype_raster(run.prediction)
            layer.features = layers.subtype_features(run.prediction)
        layer.refresh(extent=False)

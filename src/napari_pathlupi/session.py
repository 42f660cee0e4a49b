"""What one viewer is working on; no Qt and no napari.

A `Session` keeps slide, model and runs, hands out work as jobs that any thread may run, and is told what came of them.
What that means for the panel is in `napari_pathlupi.panel_state`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from psygnal import Signal

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.progress import CancelFlag, Progress, Steps
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.panel_state import Extent, Facts, Phase
from napari_pathlupi.runs import KeptFeatures, Run, end_words

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from napari_pathlupi.bundle import Bundle
    from napari_pathlupi.core.tissue import TissueMask
    from napari_pathlupi.slides import Slide
    from napari_pathlupi.workflows.prediction.predict import Plan, PredictConfig


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """A look at what a prediction would do; `run` belongs in a worker thread.

    Parameters
    ----------
    slide, bundle, config, regions, tissue
        As `napari_pathlupi.workflows.prediction.predict.plan` takes them.
    """

    slide: "Slide"
    bundle: "Bundle"
    config: "PredictConfig"
    regions: "tuple[BaseGeometry, ...]"
    tissue: "TissueMask | None" = None

    def run(self) -> "Plan":
        """Return the plan, or raise why there is none; tissue that a person said is kept, and known the next time."""
        from napari_pathlupi.workflows.edits import recall_tissue, remember_tissue
        from napari_pathlupi.workflows.prediction.predict import plan

        if self.tissue is not None and self.tissue.by_hand:
            remember_tissue(self.slide, self.tissue)
        tissue = self.tissue or recall_tissue(self.slide)
        return plan(self.slide, self.bundle, self.config, self.regions, tissue)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A prediction that is going on; `steps` belongs in a worker thread.

    Parameters
    ----------
    check
        What to predict on, and with what.
    extent
        Where it looks, in words.
    plan
        What it looks at.
    frame
        The slide's frame as it was when the job began.
    identity, cancel, started, created
        Name of the run, how to stop it and when it began, on the monotonic clock and as an ISO time.
    """

    check: Check
    extent: str
    plan: "Plan"
    frame: SlideFrame
    identity: str = field(default_factory=lambda: uuid4().hex)
    cancel: CancelFlag = field(default_factory=CancelFlag)
    started: float = field(default_factory=time.monotonic)
    created: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))

    def steps(self) -> Steps[Prediction]:
        """Yield progress and return the prediction."""
        from napari_pathlupi.workflows.device import free_a_core
        from napari_pathlupi.workflows.prediction.predict import planned_steps

        what = self.check
        free_a_core()
        given = what.slide, what.bundle, what.config, self.plan, self.cancel
        return (yield from planned_steps(*given, keep_features=True))

    def as_run(self, prediction: Prediction) -> Run:
        """Return the run with what is known so far; however far it is, it has the time at which it began."""
        source = replace(prediction.provenance, created=self.created)
        return Run(self.identity, self.frame, self.extent, replace(prediction, provenance=source))


class Session:
    """What one viewer is working on.

    ``changed`` says that `facts` may be different; ``growing`` brings the run at hand with a provisional prediction;
    ``finished`` brings a run that is kept. All are sent from the thread that calls the methods: the window's.
    ``stated_mpp`` remembers, by fingerprint, what the user said of the size of a slide's pixels; ``tissue`` is what a
    person says is tissue on the chosen slide.
    """

    changed = Signal()
    growing = Signal(Run)
    finished = Signal(Run)

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.features = KeptFeatures()
        self.stated_mpp: dict[str, float] = {}
        self.plan: Plan | None = None
        self.job: Job | None = None
        self.tissue: TissueMask | None = None
        self._slide: Slide | None = None
        self._bundle: Bundle | None = None
        self._regions: tuple[BaseGeometry, ...] = ()
        self._config: PredictConfig | None = None
        self._found: TissueMask | None = None  # so that it is looked for once
        self._check: Check | None = None
        self._first: tuple[float, int] | None = None  # when the first tiles were in, and how many
        self._facts = Facts()

    @property
    def facts(self) -> Facts:
        """All that the panel depends on."""
        plan = self.plan.sentence if self.plan else ""
        return replace(self._facts, plan=plan)

    def choose_slide(self, slide: "Slide | None", plain_image: str = "") -> None:
        """Work on that slide; `plain_image` names a large image that stands in for one."""
        self.tissue = self._found = None
        self._slide = slide
        mpp_known = slide is not None and slide.frame.mpp is not None
        self._renew(slide=slide.path.name if slide else "", plain_image=plain_image, mpp_known=mpp_known)

    def choose_model(self, bundle: "Bundle | None", problem: str = "") -> None:
        """Work with that model, or say why it cannot be used."""
        self._bundle = bundle
        self._renew(model=bundle.card.title if bundle else "", model_problem=problem)

    def choose_extent(self, extent: Extent, regions: "Sequence[BaseGeometry]" = ()) -> None:
        """Predict there: polygons in level-0 pixels, none for the whole tissue."""
        if (extent, tuple(regions)) != (self._facts.extent, self._regions):
            self._regions = tuple(regions)
            self._renew(extent=extent, regions=len(regions))

    def choose_tissue(self, tissue: "TissueMask") -> None:
        """Take that for the tissue of the slide, as a person says it is."""
        if self.tissue is None or not np.array_equal(tissue.classes, self.tissue.classes):
            self.tissue = tissue
            self._renew()

    def forget_tissue(self) -> None:
        """Look for the tissue of the slide again, whatever a person said it is."""
        from napari_pathlupi.workflows.edits import forget_tissue

        if self._slide is not None:
            forget_tissue(self._slide)
        self.tissue = self._found = None
        self._renew()

    def choose_config(self, config: "PredictConfig") -> None:
        """Read slides that way."""
        if config != self._config:
            self._config = config
            self._renew()

    def _renew(self, **facts: Any) -> None:
        self.plan = self._check = None
        self._set(problem="", notice="", **facts)

    def _set(self, **facts: Any) -> None:
        self._facts = replace(self._facts, **facts)
        self.changed.emit()

    @property
    def unchecked(self) -> bool:
        """Whether something was chosen that has not been looked at."""
        return self._check is None

    def check(self) -> Check | None:
        """Return what to run so that the plan is known, or None while something is missing."""
        if self._slide is None or self._bundle is None or self._config is None or not self._facts.mpp_known:
            return None
        if self._facts.extent is not Extent.WHOLE and not self._regions:
            return None
        self._check = Check(self._slide, self._bundle, self._config, self._regions, self.tissue or self._found)
        return self._check

    def checked(self, check: Check, outcome: "Plan | PathlupiError") -> None:
        """Take what came of a check; one that was overtaken by another choice is dropped."""
        if check is not self._check:
            return
        self.plan = None if isinstance(outcome, PathlupiError) else outcome
        tissue: TissueMask | None = getattr(outcome, "tissue", None)
        if tissue and tissue.by_hand:
            self.tissue = tissue
        elif tissue:
            self._found = tissue
        self._set(problem=str(outcome) if isinstance(outcome, PathlupiError) else "")

    def begin(self, view: "BaseGeometry | None" = None) -> Job:
        """Return what to run for a prediction, which reads outwards from the middle of what is in view.

        Raises
        ------
        RuntimeError
            When there is no plan, or a prediction is going on.
        """
        if self._check is None or self.plan is None or self.job is not None:
            raise RuntimeError("a prediction needs a plan and waits for the one before")
        words = f"{len(self._regions)} regions" if self._facts.extent is Extent.REGIONS else self._facts.extent.value
        order = None if view is None else self.plan.grid.outwards_from((view.centroid.y, view.centroid.x))
        self.job = Job(self._check, words, replace(self.plan, order=order), self._check.slide.frame)
        self._first = None
        self._set(phase=Phase.RUNNING, progress=None, tiles_per_s=0.0, notice="")
        return self.job

    def goes_on(self, run: Run) -> bool:
        """Return whether this is the run at hand, so that what it says is provisional."""
        return self.job is not None and self.job.identity == run.identity

    def progressed(self, progress: Progress) -> None:
        """Take a step of the prediction at hand."""
        if self.job is None:
            return
        if self._first is None and progress.total:
            self._first = time.monotonic(), progress.done
        self._set(progress=progress, tiles_per_s=self._speed(progress))
        if progress.partial is not None:
            self.growing.emit(self.job.as_run(progress.partial))

    def _speed(self, progress: Progress) -> float:
        since, done = self._first or (time.monotonic(), 0)
        return (progress.done - done) / max(time.monotonic() - since, 1e-9)

    def cancel(self) -> None:
        """Stop after the batch at hand; what was read is kept."""
        if self.job is not None:
            self.job.cancel.set()
            self._set(phase=Phase.CANCELLING)

    def say(self, words: str) -> None:
        """Say this until something is changed."""
        self._set(notice=words)

    def take(self, run: Run, words: str, bundle: "Bundle") -> None:
        """Keep a run that came about in another way with a model, and say how."""
        self.runs.append(self.features.take(run, bundle))
        self._set(notice=words)
        self.finished.emit(self.runs[-1])

    def more_of(self, run: Run) -> None:
        """Take a run of which more was made in the place of what it was."""
        self.runs = [run if known.identity == run.identity else known for known in self.runs]
        self.finished.emit(run)

    def ended(self, outcome: Prediction | PathlupiError) -> None:
        """Take the end of the prediction at hand: a result, or why there is none."""
        if self.job is None:
            return
        job, seconds, self.job = self.job, time.monotonic() - self.job.started, None
        if isinstance(outcome, PathlupiError):
            self._set(phase=Phase.IDLE, notice=str(outcome))
            return
        self.runs.append(self.features.take(job.as_run(outcome), job.check.bundle))
        words = end_words(outcome, seconds, stopped=bool(job.cancel))
        elsewhere = job.check.slide is not self._slide
        self._set(phase=Phase.IDLE, notice=f"{job.check.slide.path.name}: {words}" if elsewhere else words)
        self.finished.emit(self.runs[-1])

"""What the panel offers and says, as a pure function of what is known; no Qt and no napari."""

from dataclasses import dataclass
from enum import Enum

from napari_pathlupi.core.progress import Progress
from napari_pathlupi.patch_encoders._encoder import Readiness, State


class Extent(Enum):
    """Which part of a slide to predict on; the value is its name for the user."""

    WHOLE = "whole tissue"
    REGIONS = "regions"
    VIEW = "this view"


class Phase(Enum):
    """Where a session is."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


@dataclass(frozen=True, slots=True)
class Hint:
    """One thing to click that helps.

    Parameters
    ----------
    text
        Words to click.
    action
        What it does: "mpp:0.5", "mpp:" (ask for a number), "reopen"; "background:on", "background:off" or
        "background:hide"; "encoder:page", "encoder:accept", "encoder:again", "encoder:get", "encoder:stop" or
        "encoder:file".
    """

    text: str
    action: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the state of the Predict button depends on.

    Parameters
    ----------
    slide
        Name of the chosen slide, "" for none.
    plain_image
        Name of a large image that was opened without a pyramid, "" for none.
    mpp_known
        Whether the size of the slide's pixels is known.
    model, model_problem
        Title of the chosen model, or why it cannot be used.
    extent, regions
        Where to predict, and how many outlines that is: what is drawn, or the part of the slide in view.
    plan
        What a prediction would do, "" while that is not known.
    problem
        Why this model cannot judge this slide.
    phase, progress, tiles_per_s
        The work at hand and its mean speed.
    notice
        How the last run or export ended, until something is changed.
    """

    slide: str = ""
    plain_image: str = ""
    mpp_known: bool = True
    model: str = ""
    model_problem: str = ""
    extent: Extent = Extent.WHOLE
    regions: int = 0
    plan: str = ""
    problem: str = ""
    phase: Phase = Phase.IDLE
    progress: Progress | None = None
    tiles_per_s: float = 0.0
    notice: str = ""


@dataclass(frozen=True, slots=True)
class PanelState:
    """What the panel offers and says.

    Parameters
    ----------
    can_predict, can_cancel
        Which buttons are live.
    sentence
        The line under the button.
    warning
        Whether it is about something that is in the way.
    hints
        What to click.
    """

    can_predict: bool
    can_cancel: bool
    sentence: str
    warning: bool = False
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that a person may want to change, and what to click for it."""

    sentence: str
    hints: tuple[Hint, ...]


def advice_on_loading(slide_open: bool, on: bool, offered: bool) -> Advice | None:
    """Return what to say of napari's loading in the background; None for nothing.

    Parameters
    ----------
    slide_open
        Whether there is a slide to paint.
    on
        Whether napari loads in the background now.
    offered
        Whether the person wants to hear of it.
    """
    if not slide_open or not offered:
        return None
    hide = Hint("Hide", "background:hide")
    if on:
        words = "Tiles load in the background (a setting of napari)."
        return Advice(words, (Hint("Turn off", "background:off"), hide))
    words = (
        "Painting waits for the file. Loading tiles in the background keeps the window moving "
        "(a setting of napari, for every image)."
    )
    return Advice(words, (Hint("Turn on", "background:on"), hide))


def advice_on_encoder(title: str, readiness: Readiness) -> Advice | None:
    """Return what to say of a patch encoder that cannot be used yet, and what to click; None where it can."""
    if readiness.usable:
        return None
    page, file = Hint("Open its page", "encoder:page"), Hint("Choose a file …", "encoder:file")
    hints = {
        State.NEEDS_EXTRA: (),
        State.NEEDS_LICENCE: (page, Hint("I have accepted it", "encoder:accept"), file),
        State.NEEDS_TOKEN: (page, Hint("Look again", "encoder:again"), file),
        State.NEEDS_DOWNLOAD: (Hint("Download", "encoder:get"), file),
        State.NEEDS_FILE: (page, file),
    }
    return Advice(f"{title}: {readiness.words}", hints[readiness.state])


def resolve(facts: Facts) -> PanelState:
    """Return what can be done and the sentence for it."""
    if facts.phase is Phase.RUNNING:
        return PanelState(False, True, progress_words(facts.progress, facts.tiles_per_s))
    if facts.phase is Phase.CANCELLING:
        return PanelState(False, False, "Stopping after this batch …")
    obstacle = _obstacle(facts)
    if obstacle is not None:
        return obstacle
    if facts.notice:
        return PanelState(bool(facts.plan), False, facts.notice)
    return PanelState(bool(facts.plan), False, facts.plan or "Looking for tissue …")


def _obstacle(facts: Facts) -> PanelState | None:
    if not facts.slide and facts.plain_image:
        words = f"{facts.plain_image} was opened without a pyramid: it fills the memory and has no scale."
        return _in_the_way(words, Hint("Open it as a slide", "reopen"))
    if not facts.slide:
        return PanelState(False, False, "Open a slide to begin (drop it here, or File > Open).")
    if not facts.mpp_known:
        words = "The file does not say how large a pixel is. Set µm per pixel:"
        return _in_the_way(words, Hint("20×: 0.5", "mpp:0.5"), Hint("40×: 0.25", "mpp:0.25"), Hint("other …", "mpp:"))
    if facts.model_problem:
        return _in_the_way(facts.model_problem)
    if not facts.model:
        return _in_the_way("Choose a model.")
    if facts.extent is Extent.REGIONS and not facts.regions:
        return _in_the_way("No region is drawn: draw one under Regions, or choose whole tissue.")
    if facts.extent is Extent.VIEW and not facts.regions:
        return _in_the_way("The slide is out of view: move it into view, or choose whole tissue.")
    return _in_the_way(facts.problem) if facts.problem else None


def _in_the_way(sentence: str, *hints: Hint) -> PanelState:
    return PanelState(False, False, sentence, True, hints)


def progress_words(progress: Progress | None, tiles_per_s: float) -> str:
    """Return "Reading 63 % · 310 tiles/s · 4 s left", and below it what happened on the way."""
    if progress is None or not progress.total:
        return f"{progress.stage if progress else 'Starting'} …"
    words = f"{progress.stage} {100 * progress.fraction:.0f} %"
    if tiles_per_s > 0:
        left = duration((progress.total - progress.done) / tiles_per_s)
        words += f" · {tiles_per_s:,.0f} tiles/s · {left} left"
    return f"{words}\n{progress.message}" if progress.message else words


def duration(seconds: float) -> str:
    """Return "4 s", "2 min 05 s" or "1 h 02 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

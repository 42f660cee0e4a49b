"""Predictions that were made, in words and in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import OutputError
from napari_pathlupi.panel_state import duration
from napari_pathlupi.workflows.save import save_prediction, save_regions

UNLIKE = "This slide is unlike those the model learned from: the answer is shown as not supported."


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One prediction of this session; runs are kept side by side, never overwritten.

    Parameters
    ----------
    identity
        Names the run in its layers.
    frame
        The slide's frame as it was when the run began.
    extent
        Where it looked, in words.
    prediction
        Its result, provisional while it is going on.
    """

    identity: str
    frame: SlideFrame
    extent: str
    prediction: Prediction

    @property
    def fingerprint(self) -> str:
        """Names the content of its slide."""
        return self.prediction.provenance.fingerprint

    @property
    def answer(self) -> str:
        """Headline with its certainty, or that there is none."""
        if not self.prediction.reference.supported:
            return "not supported"
        answer = self.prediction.answer
        doubt = " (not sure)" if answer.doubt else ""
        return f"{answer.headline} {answer.certainty}{doubt}" + (" (partial)" if self.prediction.partial else "")

    @property
    def time(self) -> str:
        """Time of day at which it was made."""
        return self.prediction.provenance.clock


def export(run: Run, folder: Path, regions: Sequence[AnnotatedRegion] = ()) -> list[Path]:
    """Write a run in every format of the catalogue, and a person's regions; return the files.

    Parameters
    ----------
    run
        What to write.
    folder
        Where to; it is made if absent. Nothing in it is overwritten.
    regions
        Outlines drawn by a person, level-0 pixels.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    _must_be_there(folder)
    return save_prediction(run.prediction, run.frame, folder, regions=regions)


def export_regions(slide_name: str, frame: SlideFrame, folder: Path, regions: Sequence[AnnotatedRegion]) -> list[Path]:
    """Write a person's regions for QuPath and return the file, none when there are no regions.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    _must_be_there(folder)
    return save_regions(regions, slide_name, frame, folder)


def _must_be_there(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}): choose another folder.") from error


def end_words(prediction: Prediction, seconds: float, *, stopped: bool) -> str:
    """Return how a prediction ended, in a sentence or two."""
    words = f"Read {int(prediction.read.sum()):,} tiles in {duration(seconds)}."
    if stopped and prediction.partial:
        share = 100 * prediction.read.mean()
        words = f"Stopped at {share:.0f} %: the map shows what was read; the answer is marked partial."
    elif not prediction.reference.supported:
        words = UNLIKE
    return " ".join([words, *prediction.notes])

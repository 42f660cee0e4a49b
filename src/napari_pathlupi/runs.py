"""Predictions that were made, in words and in files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathlupi.core.gene_sets import GeneSetMap
from napari_pathlupi.core.geometry import SlideFrame
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.core.results import Prediction
from napari_pathlupi.errors import MismatchError, OutputError
from napari_pathlupi.panel_state import duration
from napari_pathlupi.workflows.save import save_prediction, save_regions

if TYPE_CHECKING:
    from napari_pathlupi.bundle import Bundle

KEPT_BYTES = 1_000_000_000
"""Tile vectors of this session's runs are kept up to that size, those of the oldest run go first (our choice)."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One more map of a run, made because a person asked for it.

    Parameters
    ----------
    kind
        Names it among the maps of its run.
    title
        What it is called.
    values
        (N,) between -1 and 1; NaN where there is nothing to say.
    words
        What it is, and how sure.
    signed
        Whether it may be below 0.
    """

    kind: str
    title: str
    values: npt.NDArray[np.float32]
    words: str
    signed: bool


def gene_set_picture(run: Run, name: str, made: GeneSetMap) -> Picture:
    """Return the map of a gene set of a run as a picture."""
    words = made.words if run.prediction.reference.supported else f"Not supported on this slide. {made.words}"
    return Picture(f"gene set {name}", f"Claimed: {name}", made.drawn, words, made.signed)


def difference(run: Run, other: Run) -> Picture:
    """Return how many percentiles of attention a run gives each tile more than another run on the same tiles.

    Raises
    ------
    MismatchError
        When they did not look at the same tiles, or one has no attention.
    """
    first, second = run.prediction, other.prediction
    if first.attention is None or second.attention is None:
        raise MismatchError("One of the two runs has no attention: there is nothing to compare tile by tile.")
    sides = first.grid.side_px0, second.grid.side_px0
    if sides[0] != sides[1] or not np.array_equal(first.grid.origins_px0, second.grid.origins_px0):
        raise MismatchError(
            f"The run of {other.time} looked at other tiles ({len(second.grid):,} on {other.extent}, here "
            f"{len(first.grid):,} on {run.extent}): only runs on the same tiles are compared. Predict again on the "
            "same tissue or regions, with a model that reads tiles of this size."
        )
    words = (
        f"Attention percentile of this run minus that of {other.time} ({second.provenance.model}, {other.extent}). "
        "Orange: this run looks there more, blue: less."
    )
    values = first.percentile - second.percentile
    words += "" if np.nan_to_num(values).any() else " No tile differs."
    return Picture(f"difference {other.identity}", f"Difference from {other.time}", values, words, True)


class KeptFeatures:
    """The tile vectors of runs, from which more maps are made."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Bundle, npt.NDArray[np.float32]]] = {}

    def take(self, run: Run, bundle: "Bundle") -> Run:
        """Keep the tile vectors of a run and what judged them, and return the run without."""
        told = run.prediction.gene_sets
        if told is None or told.features is None:
            return run
        self._kept[run.identity] = bundle, told.features
        while len(self._kept) > 1 and sum(features.nbytes for _, features in self._kept.values()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return replace(run, prediction=replace(run.prediction, gene_sets=replace(told, features=None)))

    def mapping(self, run: Run, name: str) -> Callable[[], Run]:
        """Return a call that maps a gene set and returns the run with it; it belongs in a worker thread.

        Raises
        ------
        MismatchError
            When the tile vectors of the run are no longer kept.
        """
        if run.identity not in self._kept:
            raise MismatchError(f"The tile vectors of the run of {run.time} are not kept any more: predict again.")
        bundle, features = self._kept[run.identity]

        def map_it() -> Run:
            from napari_pathlupi.workflows.prediction.ensemble import Ensemble
            from napari_pathlupi.workflows.prediction.gene_sets import map_gene_sets

            made = map_gene_sets(run.prediction, Ensemble.from_bundle(bundle), features, (name,))
            return replace(run, prediction=made)

        return map_it


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
    """Return how a prediction ended, in a sentence; what is to be said of the answer stands beside that."""
    words = f"Read {int(prediction.read.sum()):,} tiles in {duration(seconds)}."
    if stopped and prediction.partial:
        share = 100 * prediction.read.mean()
        words = f"Stopped at {share:.0f} %: the map shows what was read; the answer is marked partial."
    elif not prediction.reference.supported:
        words = UNLIKE
    return words

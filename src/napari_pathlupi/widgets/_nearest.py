"""What the slide is like: the nearest among stored embeddings of slides, or of molecular profiles."""

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_pathlupi.core.embeddings import SlideEmbedding
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.runs import Run
from napari_pathlupi.widgets._parts import column, menu_button, sentence, warn
from napari_pathlupi.widgets._results import Table
from napari_pathlupi.widgets._work import Work, at_once
from napari_pathlupi.workflows.downstream.nearest import Nearest, nearest_in, nearest_words

SLIDES, PROFILES = "slides", "molecular profiles"
_FILES = "Embeddings (*.h5ad *.csv *.tsv *.parquet *.gz)"


class NearestView(QWidget):
    """Looks a run's slide up among embeddings that a person chooses, and lists the nearest; its button is beside."""

    told = Signal(bool)
    """Whether there is anything to show."""

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self.table, self.said = Table("Nearest", "Distance", flexible=0), sentence()
        self.table.horizontalHeaderItem(1).setToolTip("Euclidean distance between the embeddings; it has no unit")
        entries = {
            "Similar slides in a folder…": partial(self._ask, SLIDES, folder=True),
            "Similar slides in a file… (h5ad, CSV, Parquet)": partial(self._ask, SLIDES),
            "Nearest molecular profiles in a folder…": partial(self._ask, PROFILES, folder=True),
            "Nearest molecular profiles in a file…": partial(self._ask, PROFILES),
        }
        tip = "The nearest among stored embeddings: of slides, or of molecular profiles of the same pre-training"
        self.button = menu_button("Like this slide", entries, tip)
        column(self.table, self.said, into=self)
        self.show_run(None)

    @property
    def _embedding(self) -> SlideEmbedding | None:
        return None if self._run is None or self._run.prediction.partial else self._run.prediction.embedding

    def show_run(self, run: Run | None) -> None:
        """Be about this run from now on; what was found for another is taken away."""
        before = self._run.identity if self._run else ""
        self._run = run
        self.button.setEnabled(self._embedding is not None)
        if (run.identity if run else "") != before:
            self._say("")
            self.table.show_rows([])

    def look_up(self, place: Path, what: str = SLIDES) -> None:
        """Show the nearest among the embeddings in a file or folder."""
        run, embedding = self._run, self._embedding
        if run is None or embedding is None:
            return
        name = run.prediction.provenance.slide_name

        def find() -> Nearest:
            from napari_pathlupi.workflows.downstream.embeddings import read_embeddings

            return nearest_in(read_embeddings(place), embedding, name)

        self._say("Looking …")
        Work(at_once(find), f"Looking up {name}").ended.connect(partial(self._found, run.identity, what))

    def _found(self, identity: str, what: str, outcome: Nearest | PathlupiError) -> None:
        if self._run is None or self._run.identity != identity:
            return
        found = None if isinstance(outcome, PathlupiError) else outcome
        self._say(nearest_words(found, what) if found else str(outcome), warning=found is None)
        pairs = zip(found.names, found.distances, strict=True) if found else ()
        self.table.show_rows([(name, f"{distance:.3g}") for name, distance in pairs])

    def _ask(self, what: str, *, folder: bool = False) -> None:
        words = f"Embeddings of {what}"
        ask = QFileDialog.getExistingDirectory
        chosen = ask(self, words) if folder else QFileDialog.getOpenFileName(self, words, "", _FILES)[0]
        if chosen:
            self.look_up(Path(chosen), what)

    def _say(self, words: str, *, warning: bool = False) -> None:
        self.said.setText(words)
        self.told.emit(bool(words))
        warn(self.said, warning)

"""What the patch encoder of the chosen model still needs, and the clicks that bring it."""

from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.core.progress import CancelFlag, Progress
from napari_pathlupi.errors import PathlupiError, SettingsError
from napari_pathlupi.panel_state import Advice, Hint, advice_on_encoder, progress_words
from napari_pathlupi.widgets._parts import Hints, column, sentence, warn
from napari_pathlupi.widgets._work import Work


class EncoderRow(QWidget):
    """Shows nothing where the encoder can be used; nothing is downloaded without a click."""

    changed = Signal()
    """It may be usable now."""

    def __init__(self) -> None:
        super().__init__()
        self.sentence, self.hints = sentence(), Hints()
        self.hints.taken.connect(self._take)
        column(self.sentence, self.hints, into=self)
        self._name, self._trouble = "", ""
        self._coming, self._cancel = "", CancelFlag()  # what is being downloaded
        self.hide()

    def show_for(self, name: str) -> str:
        """Show what an encoder of the catalogue needs; return that as a sentence, "" where it can be used."""
        if name and name == self._name == self._coming:
            return str(self.sentence.text())
        self._trouble = self._trouble if name == self._name else ""
        self._name = name
        try:
            advice = self._advice()
        except PathlupiError as error:
            return self._say(str(error))
        if advice is None:
            self.hide()
            return ""
        return self._say(self._trouble or advice.sentence, *advice.hints)

    def _advice(self) -> Advice | None:
        if self._name not in patch_encoders:  # no model is chosen, or it reads pixels itself
            return None
        entry = patch_encoders[self._name]
        return advice_on_encoder(entry.title, entry.readiness())

    def _say(self, words: str, *hints: Hint, warning: bool = True) -> str:
        self.sentence.setText(words)
        warn(self.sentence, warning)
        self.hints.show_hints(hints)
        self.show()
        return words

    def _take(self, action: str) -> None:
        from napari_pathlupi.workflows.embedding.encoders import accept_licence, keep_weights

        self._trouble = ""
        try:
            if action == "encoder:get":
                self._download()
            elif action == "encoder:stop":
                self._cancel.set()
            elif action == "encoder:page":
                QDesktopServices.openUrl(QUrl(patch_encoders[self._name].readiness().address))
            elif action == "encoder:accept":
                accept_licence(self._name)
            elif action == "encoder:file" and (file := QFileDialog.getOpenFileName(self, "File with the weights")[0]):
                keep_weights(self._name, Path(file))
        except PathlupiError as error:
            self._trouble = str(error)
        self.changed.emit()

    def _download(self) -> None:
        from napari_pathlupi.workflows.embedding.encoders import get_steps

        if self._coming:
            raise SettingsError(f"{self._coming} is being downloaded: wait for it, or choose its model and stop it.")
        self._coming = name = self._name
        self._cancel = cancel = CancelFlag()
        work = Work(lambda: get_steps(name, cancel), f"Downloading {name}")
        work.progressed.connect(self._progressed)
        work.ended.connect(self._ended)
        self._progressed(Progress("Downloading", 0, 0))

    def _progressed(self, progress: Progress) -> None:
        if self._coming == self._name:
            self._say(progress_words(progress, 0.0), Hint("Stop", "encoder:stop"), warning=False)

    def _ended(self, outcome: Any) -> None:
        self._trouble = str(outcome) if isinstance(outcome, PathlupiError) and self._coming == self._name else ""
        self._coming = ""
        self.changed.emit()

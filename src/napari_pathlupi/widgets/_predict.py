"""The button, the line below it, the progress and its Cancel."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QProgressBar, QPushButton, QWidget

from napari_pathlupi.panel_state import Facts, PanelState, Phase
from napari_pathlupi.widgets._parts import Hints, button, column, row, sentence, warn

SHORTCUT = "Ctrl+Shift+Return"
"""Ctrl+Shift+P is napari's own, for its command palette."""


class PredictRow(QWidget):
    """Shows a `PanelState`."""

    predict_asked = Signal()
    cancel_asked = Signal()
    hint_taken = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.predict = QPushButton("Predict")
        self.predict.clicked.connect(lambda: self.predict_asked.emit())
        self.predict.setShortcut(QKeySequence(SHORTCUT))
        self.predict.setToolTip(f"Reads the slide and asks the model ({SHORTCUT})")
        self.predict.setStyleSheet("font-weight: bold; font-size: 15px; padding: 5px;")
        self.sentence = sentence()
        self.bar = QProgressBar(maximum=1000, textVisible=False)
        self.bar.setFixedHeight(12)
        self.cancel = button("Cancel", self.cancel_asked.emit, "Stops after the batch at hand; what was read is kept")
        self._progress, self.hints = QWidget(), Hints()
        self.hints.taken.connect(self.hint_taken)
        column(row(self.bar, self.cancel), into=self._progress)
        column(self.predict, self._progress, self.sentence, self.hints, into=self)

    def show_state(self, state: PanelState, facts: Facts) -> None:
        """Show what can be done and the sentence for it."""
        busy = facts.phase is not Phase.IDLE
        self.predict.setEnabled(state.can_predict)
        self.cancel.setEnabled(state.can_cancel)
        self._progress.setVisible(busy)
        total = facts.progress.total if facts.progress else 0
        self.bar.setMaximum(1000 if total else 0)  # 0: busy, for how long is not known
        self.bar.setValue(round(1000 * facts.progress.fraction) if facts.progress else 0)
        self.sentence.setText(state.sentence)
        warn(self.sentence, state.warning)
        self.hints.show_hints(state.hints)

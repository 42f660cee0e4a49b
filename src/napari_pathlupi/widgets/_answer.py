"""What the model says of the slide."""

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QProgressBar, QWidget

from napari_pathlupi.core.results import AnswerRow, Prediction, ReferenceCheck
from napari_pathlupi.widgets._parts import GREY, column, empty, row, sentence, warn

NOT_SUPPORTED = "Not supported: this slide is unlike those the model learned from"
SO_FAR_UNLIKE = "So far this slide is unlike those the model learned from"


class AnswerView(QWidget):
    """Headline with its certainty, a bar for every class, and how far the slide can be judged at all."""

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.certainty = sentence(), QLabel()
        self.told, self.remark, self.reference = sentence(), sentence(), sentence()
        self._bars = QGridLayout()
        self._bars.setContentsMargins(0, 4, 0, 4)
        self._bars.setColumnStretch(1, 1)
        top = row(self.headline, self.certainty)
        top.setAlignment(self.certainty, Qt.AlignmentFlag.AlignTop)
        column(top, self.told, self.remark, self._bars, self.reference, into=self)

    def show_prediction(self, prediction: Prediction, *, final: bool = True) -> None:
        """Show what was predicted; greyed and without a headline where the slide is unlike the model's own.

        While the run goes on that may still change, and is said quietly.
        """
        answer, supported = prediction.answer, prediction.reference.supported
        rows = answer.rows()
        colour = next((row.colour for row in rows if row.label == answer.headline), "") if supported else GREY
        size, weight = (22 if supported else 13), ("bold" if supported or final else "normal")
        unlike = NOT_SUPPORTED if final else SO_FAR_UNLIKE
        self.headline.setText(answer.headline if supported else unlike)
        self.headline.setStyleSheet(
            f"font-size: {size}px; font-weight: {weight}; border-left: 6px solid {colour or GREY}; padding-left: 8px;"
        )
        self.certainty.setText(answer.certainty if supported else "")
        beside = 22 if len(answer.certainty) <= len("> 99 %") else 15  # longer words leave the headline its room
        self.certainty.setStyleSheet(f"font-size: {beside}px;")
        self.told.setText(answer.remark if supported else "")
        self.told.setVisible(bool(self.told.text()))
        self.remark.setText(remark(prediction))
        self.remark.setVisible(bool(self.remark.text()))
        self.reference.setText(reference_words(prediction.reference))
        warn(self.reference, final and not supported)
        self._show_bars(rows, supported)

    def _show_bars(self, rows: Sequence[AnswerRow], supported: bool) -> None:
        empty(self._bars)
        for index, line in enumerate(rows):
            bar = QProgressBar(maximum=1000, value=round(1000 * line.share), textVisible=False)
            bar.setFixedHeight(10)
            colour = line.colour or GREY
            bar.setStyleSheet(f"QProgressBar::chunk {{ background-color: {colour if supported else GREY}; }}")
            self._bars.addWidget(QLabel(line.label), index, 0)
            self._bars.addWidget(bar, index, 1)
            self._bars.addWidget(QLabel(line.text), index, 2, Qt.AlignmentFlag.AlignRight)


def remark(prediction: Prediction) -> str:
    """Return that an answer is provisional, and what happened on the way."""
    share = 100 * prediction.read.mean()
    partial = [f"Provisional: {share:.0f} % of the tiles were read."] if prediction.partial else []
    return " ".join([*partial, *prediction.notes])


def reference_words(reference: ReferenceCheck) -> str:
    """Return how far the slide lies from the model's own, and what is usual."""
    if not reference.known:
        return str(reference)
    like = "Like" if reference.supported else "Unlike"
    return (
        f"{like} the model's own slides: distance {reference.distance:.1f}, "
        f"99\u00a0% of them lie below {reference.limit:.1f}."
    )

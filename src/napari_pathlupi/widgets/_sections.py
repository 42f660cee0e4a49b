"""How the panel looks: its sections one below the other, with no life of their own."""

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.widgets._answer import AnswerView
from napari_pathlupi.widgets._background import BackgroundRow
from napari_pathlupi.widgets._choices import ExtentRow, ModelRow, SlideRow
from napari_pathlupi.widgets._map import MapView
from napari_pathlupi.widgets._nearest import NearestView
from napari_pathlupi.widgets._parts import Fold, column, sentence
from napari_pathlupi.widgets._predict import PredictRow
from napari_pathlupi.widgets._results import RegionsView, RunsView

NARROWEST_PX = 320
"""Width that the panel needs beside a slide on a laptop; nothing in it may need more (our choice)."""


LIKE = "Like this slide"


class Inner(QWidget):
    """As high as its sentences need at this width; Qt would leave the room that they need at the least width."""

    def minimumSizeHint(self) -> QSize:
        """Return the least width, and the height at the width it has."""
        return QSize(super().minimumSizeHint().width(), self.layout().heightForWidth(self.width()))

    def sizeHint(self) -> QSize:
        """Return the same: there is nothing to be gained by more."""
        return self.minimumSizeHint()


class Sections(QWidget):
    """What is chosen, the button, and what came of it, in one column that scrolls."""

    def __init__(self) -> None:
        super().__init__()
        self.slide_row, self.model_row, self.extent_row = SlideRow(), ModelRow(), ExtentRow()
        self.background = BackgroundRow()
        self.predict_row, self.answer, self.map = PredictRow(), AnswerView(), MapView()
        self.regions, self.nearest, self.runs = RegionsView(), NearestView(), RunsView()
        views = {"Answer": self.answer, "Map": self.map, "Regions": self.regions}
        views |= {LIKE: self.nearest, "Runs": self.runs}
        self.folds = {words: Fold(words, view) for words, view in views.items()}
        self.runs.actions.addWidget(self.nearest.button)
        self.nearest.told.connect(self.folds[LIKE].setVisible)
        self.folds[LIKE].hide()
        inner = Inner()
        rows = self.slide_row, self.background, self.model_row, self.extent_row, self.predict_row
        column(*rows, *self.folds.values(), into=inner, margin=6).addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inner)
        column(self.area, sentence(RESEARCH_USE_ONLY), into=self, margin=2)
        self.setMinimumWidth(NARROWEST_PX)

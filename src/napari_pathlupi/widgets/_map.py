"""Where the model looked: which map, how opaque, from which percentile on, and what is under the cursor."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QLabel, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from napari_pathlupi.layers import LEGEND
from napari_pathlupi.runs import Run
from napari_pathlupi.widgets._parts import choice, column, row, sentence, title
from napari_pathlupi.widgets._viewer import facts_of

if TYPE_CHECKING:
    from napari.layers import Layer

_KINDS = {"attention": "Attention, percentile", "subtypes": "Subtype of each tile"}
_EXPLAINED = {
    "attention": "percentile: share of the tiles read that got no more attention",
    "subtypes": LEGEND,
}

OF_HEAD = "percentile among the tiles read of this head's attention alone"
OF_TILES = "probability of the class that the model gives each tile, for itself"


class MapView(QWidget):
    """Steers the layers of one run; they are asked for each time, since a user may delete them."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: Sequence[Layer] = ()
        self._kinds: Mapping[str, str] = _KINDS
        self.kind = choice(self._choose)
        self.kind.addItems(list(_KINDS.values()))
        self.opacity = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 1)
        self.opacity.setValue(0.7)
        self.range = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
        self.range.setRange(0, 1)
        self.range.setValue((0.0, 1.0))
        self.range.setHandleLabelPosition(QLabeledDoubleRangeSlider.LabelPosition.NoLabel)
        self.range.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.LabelIsValue)
        self.range.setToolTip("Tiles below the lower end vanish; from the upper one on the colour is full")
        self.said = sentence()
        self.said.setMinimumHeight(2 * self.said.fontMetrics().height())  # so that nothing moves with the mouse
        self.said.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.opacity.valueChanged.connect(self._paint)
        self.range.valueChanged.connect(self._paint)
        shown = row(title("Show"), self.kind)
        opacity = row(_wide("Opacity"), self.opacity)
        self.of_range = _wide("Percentile")
        band = row(self.of_range, self.range)
        column(shown, opacity, band, self.said, into=self)
        self._explain()

    @property
    def shown(self) -> str:
        """Kind of the layer that is steered."""
        return tuple(self._kinds)[int(self.kind.currentIndex())]

    @property
    def lowest(self) -> float:
        """Percentile, 0 to 1, below which tiles vanish."""
        return float(self.range.value()[0])

    def steer(self, layers: Sequence["Layer"]) -> None:
        """Steer these layers from now on."""
        self._layers = layers
        found = [facts_of(layer)["kind"] for layer in layers]
        self._offer({kind: _KINDS.get(kind, kind) for kind in found[::-1]} if set(found) - set(_KINDS) else _KINDS)
        self.setEnabled(bool(layers))
        if any(facts_of(layer)["kind"] == self.shown for layer in layers):
            self._paint()

    def _offer(self, kinds: Mapping[str, str]) -> None:
        if kinds == self._kinds:
            return
        shown, self._kinds = self.shown, kinds
        with QSignalBlocker(self.kind):
            self.kind.clear()
            self.kind.addItems([words[:1].upper() + words[1:] for words in kinds.values()])
            self.kind.setCurrentIndex(list(kinds).index(shown) if shown in kinds else 0)
        self._explain()

    def _choose(self, _: int) -> None:
        for layer in self._layers:
            layer.visible = facts_of(layer)["kind"] == self.shown
        self._explain()
        self._paint()

    def _explain(self) -> None:
        of_head = self.shown.endswith(": attention percentile")
        self.said.setText(_EXPLAINED.get(self.shown, OF_HEAD if of_head else OF_TILES))
        self.said.setToolTip(self.said.text())
        self.of_range.setText("Percentile" if of_head or self.shown in _KINDS else "Probability")
        self.range.setEnabled(self.shown != "subtypes")

    def _paint(self) -> None:
        for layer in self._layers:
            if facts_of(layer)["kind"] != self.shown:
                continue
            layer.opacity = self.opacity.value()
            low, high = self.range.value()
            if self.shown != "subtypes" and low < high:
                layer.contrast_limits = (low, high)

    def tell(self, run: Run, cell: tuple[int, int] | None) -> None:
        """Show what the model made of the tile under the cursor, or else what the map is."""
        self.said.setText(cell_words(run, cell) if cell else self.said.toolTip())


def cell_words(run: Run, cell: tuple[int, int]) -> str:
    """Return "here: 97th percentile · 3.1× uniform · Demo B", or that there is no tile."""
    prediction = run.prediction
    found = np.flatnonzero((prediction.grid.cells == cell).all(axis=1))
    found = found[prediction.read[found]]
    if not len(found):
        return "here: not looked at"
    evidence = prediction.evidence.values[found].mean(axis=0)  # tiles may share a cell, as on the map
    if prediction.classifies_tiles:
        values = zip(prediction.evidence.names, evidence, strict=True)
        return "here: " + " · ".join(f"{name} {100 * value:.0f} %" for name, value in values)
    percentile, times = prediction.percentile[found].mean(), prediction.times_uniform[found].mean()
    known = prediction.attention is not None
    words = f"here: percentile {100 * percentile:.0f} · {times:.1f}× uniform" if known else "here: no attention"
    names = prediction.evidence.names
    best = f" · speaks for {names[int(np.argmax(evidence))]}" if prediction.answer.exclusive else ""
    return words + best


def _wide(words: str) -> QLabel:
    label = QLabel(words)
    label.setFixedWidth(78)
    return label

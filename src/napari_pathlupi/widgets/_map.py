"""Where the model looked, and more maps on request: which one, how opaque, from which percentile on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QLabel, QWidget
from superqt import QLabeledDoubleRangeSlider, QLabeledDoubleSlider

from napari_pathlupi.core.gene_sets import CLAIMED
from napari_pathlupi.errors import MismatchError
from napari_pathlupi.layers import LEGEND, signed_colours
from napari_pathlupi.runs import Run, difference
from napari_pathlupi.widgets._parts import choice, column, row, search, sentence, title
from napari_pathlupi.widgets._viewer import facts_of

if TYPE_CHECKING:
    from napari.layers import Layer

_KINDS = {"attention": "Attention, percentile", "subtypes": "Subtype of each tile"}
_EXPLAINED = {
    "attention": "percentile: share of the tiles read that got no more attention",
    "subtypes": LEGEND,
}
GENE_SET, DIFFERENCE = "gene set ", "difference "
"""How the kinds of maps begin that are made when asked for."""
ANOTHER_SET = "?"
"""Entry of the maps that asks for a gene set."""

OF_HEAD = "percentile among the tiles read of this head's attention alone"
OF_TILES = "probability of the class that the model gives each tile, for itself"


class MapView(QWidget):
    """Steers the layers of one run; they are asked for each time, since a user may delete them."""

    gene_set_asked = Signal(object, str)
    """A run, and the name of a gene set to be mapped on it."""
    picture_made = Signal(object, object)
    """A run, and a `napari_pathlupi.runs.Picture` of it to be shown."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: Sequence[Layer] = ()
        self._kinds: Mapping[str, str] = _KINDS
        self._more: Mapping[str, str] = {}
        self._run: Run | None = None
        self._others: Mapping[str, Run] = {}
        self._awaited, self._identity, self._fresh = "", "", False
        self.kind = choice(self._choose)
        self.kind.addItems(list(_KINDS.values()))
        self.gene_set = search(self._ask_for_gene_set, "type a part of its name")
        self._gene_sets = QWidget()
        column(row(title("of"), self.gene_set), into=self._gene_sets)
        self._gene_sets.hide()
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
        self.said.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.opacity.valueChanged.connect(self._paint)
        self.range.valueChanged.connect(self._paint)
        shown = row(title("Show"), self.kind)
        opacity = row(_wide("Opacity"), self.opacity)
        self.of_range = _wide("Percentile")
        band = row(self.of_range, self.range)
        column(shown, self._gene_sets, opacity, band, self.said, into=self)
        self._explain()

    @property
    def shown(self) -> str:
        """Kind of the layer that is steered."""
        return tuple(self._kinds)[int(self.kind.currentIndex())]

    @property
    def lowest(self) -> float:
        """Percentile, 0 to 1, below which tiles vanish."""
        return float(self.range.value()[0])

    def be_about(self, run: Run | None, runs: Sequence[Run]) -> None:
        """Offer the gene sets of a run, and the runs of its slide to compare it with."""
        self._fresh = self._fresh or (run is not None and run.identity != self._identity)
        self._identity = run.identity if run else ""
        self._run = run if run in runs else None
        told = self._run.prediction.gene_sets if self._run else None
        names = told.offered if told else ()
        if names != tuple(self.gene_set.itemText(i) for i in range(self.gene_set.count())):
            self.gene_set.clear()
            self.gene_set.addItems(names)
            self.gene_set.setCurrentIndex(-1)
        here = self._run.fingerprint if self._run else ""
        beside = [other for other in runs if other is not run and other.fingerprint == here]
        self._others = {f"{DIFFERENCE}{other.identity}": other for other in beside}
        self._more = {ANOTHER_SET: "Gene set …"} if names else {}
        for kind, other in self._others.items():
            source = f"{other.prediction.provenance.model}, {other.extent}"
            self._more |= {kind: f"Difference from {other.time} ({source})"}

    def steer(self, layers: Sequence["Layer"]) -> None:
        """Steer these layers from now on."""
        self._layers = layers
        found = {facts_of(layer)["kind"]: layer for layer in layers}
        own = {kind: facts_of(found[kind]).get("title", kind) for kind in list(found)[::-1] if kind not in _KINDS}
        drawn = [kind for kind in own if not kind.startswith((GENE_SET, DIFFERENCE))]
        usual = {kind: _KINDS[kind] for kind in list(found)[::-1] if kind in _KINDS} if drawn else _KINDS
        looked = bool(found) or self._run is None or self._run.prediction.attention is not None
        self._offer({**(usual if looked else {}), **own, **{k: w for k, w in self._more.items() if k not in own}})
        self.setEnabled(bool(layers or self._more))
        if self._awaited in found:
            self.kind.setCurrentIndex(list(self._kinds).index(self._awaited))
            self._choose(0)
        elif self._fresh and self.shown in found:
            self._fresh = False
            self._choose(0)
        elif self.shown in found:
            self._paint()

    def _offer(self, kinds: Mapping[str, str]) -> None:
        kinds = kinds or _KINDS
        if kinds == self._kinds:
            return
        shown, self._kinds = self.shown, kinds
        with QSignalBlocker(self.kind):
            self.kind.clear()
            self.kind.addItems([words[:1].upper() + words[1:] for words in kinds.values()])
            self.kind.setCurrentIndex(list(kinds).index(shown) if shown in kinds else 0)
        self._explain()

    def _choose(self, _: int) -> None:
        self._awaited, found = "", [facts_of(layer)["kind"] for layer in self._layers]
        if self.shown in self._others and self.shown not in found:
            self._compare(self.shown)
            return
        if self.shown != ANOTHER_SET:
            for layer in self._layers:
                layer.visible = facts_of(layer)["kind"] == self.shown
        self._explain()
        self._paint()

    def _compare(self, kind: str) -> None:
        """Have the difference from another run shown, or say why there is none."""
        assert self._run is not None
        try:
            picture = difference(self._run, self._others[kind])
        except MismatchError as error:
            drawn = [facts_of(layer)["kind"] for layer in self._layers if layer.visible]
            self.kind.setCurrentIndex(next((i for i, known in enumerate(self._kinds) if known in drawn), 0))
            self._explain()
            self.say(str(error))
            return
        self._awaited = kind
        self.picture_made.emit(self._run, picture)

    def _ask_for_gene_set(self, index: int) -> None:
        if self._run is not None:
            name = self.gene_set.itemText(index)
            self._awaited = f"{GENE_SET}{name}"
            self.say(f"Asking the model about {name} …")
            self.gene_set_asked.emit(self._run, name)

    def say(self, words: str) -> None:
        """Say what came of a wish, until the mouse is over a tile."""
        self.said.setText(words)
        self.said.setToolTip(words)
        two_lines = 2 * self.said.fontMetrics().height()
        needed = self.said.heightForWidth(self.said.width()) if self.said.isVisible() else 0
        self.said.setMinimumHeight(max(two_lines, needed))  # so that nothing moves with the mouse

    @property
    def _facts(self) -> Mapping[str, Any]:
        """What the layer that is shown says of itself."""
        told = [facts_of(layer) for layer in self._layers]
        return next((facts for facts in told if facts["kind"] == self.shown), {})

    def _explain(self) -> None:
        shown = self.shown
        self._gene_sets.setVisible(shown.startswith((GENE_SET, ANOTHER_SET)))
        of_head = shown.endswith(": attention percentile")
        explained = _EXPLAINED | {
            ANOTHER_SET: f"Choose a gene set. {CLAIMED}: the model's own view of its activity in each tile."
        }
        self.say(self._facts.get("words") or explained.get(shown, OF_HEAD if of_head else OF_TILES))
        ranked = of_head or shown in _KINDS or shown.startswith((GENE_SET, ANOTHER_SET, DIFFERENCE))
        self.of_range.setText("Percentile" if ranked else "Probability")
        self.range.setEnabled(shown not in ("subtypes", ANOTHER_SET))

    def _paint(self) -> None:
        for layer in self._layers:
            if facts_of(layer)["kind"] != self.shown:
                continue
            layer.opacity = self.opacity.value()
            low, high = self.range.value()
            if facts_of(layer).get("signed") and low < high:
                layer.colormap = signed_colours(low, high)
            elif self.shown != "subtypes" and low < high:
                layer.contrast_limits = (low, high)

    def tell(self, run: Run, cell: tuple[int, int] | None) -> None:
        """Show what the model made of the tile under the cursor, or else what the map is."""
        self.said.setText(cell_words(run, cell, self.shown) if cell else self.said.toolTip())


def cell_words(run: Run, cell: tuple[int, int], shown: str = "") -> str:
    """Return "here: percentile 97 · 3.1× uniform · speaks for Demo B", or that there is no tile."""
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
    if shown.startswith(GENE_SET) and (claimed := _claimed(run, shown.removeprefix(GENE_SET), found)):
        return f"here: {claimed}" + (f" · attention percentile {100 * percentile:.0f}" if known else "")
    names = prediction.evidence.names
    best = f" · speaks for {names[int(np.argmax(evidence))]}" if prediction.answer.exclusive else ""
    return words + best


def _claimed(run: Run, name: str, found: npt.NDArray[np.intp]) -> str:
    """What the tiles of a cell add to the activity that is claimed of a gene set."""
    told = run.prediction.gene_sets
    if told is None or name not in told.maps:
        return ""
    made = told.maps[name]
    value, drawn = float(made.values[found].mean()), abs(float(made.drawn[found].mean()))
    if not made.signed:
        return f"percentile {100 * drawn:.0f} for this gene set"
    verb = "raises" if value > 0 else "lowers"
    return f"{verb} the claimed {made.claim:+.2f} by {abs(value):.3f} (percentile {100 * drawn:.0f})"


def _wide(words: str) -> QLabel:
    label = QLabel(words)
    label.setFixedWidth(78)
    return label

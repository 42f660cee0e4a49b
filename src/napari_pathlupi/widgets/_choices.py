"""The upper rows of the panel: which slide, which model, where."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QButtonGroup, QDoubleSpinBox, QFileDialog, QMessageBox, QRadioButton, QWidget

from napari_pathlupi.bundle import Bundle
from napari_pathlupi.panel_state import Extent
from napari_pathlupi.slides import Slide
from napari_pathlupi.widgets._encoder import EncoderRow
from napari_pathlupi.widgets._parts import button, choice, column, menu_button, row, sentence, small, title


class SlideRow(QWidget):
    """Chooses a slide among those open, opens another, and shows its scale with its source."""

    chosen = Signal(int)
    """Index into the names."""
    files_chosen = Signal(list)
    """Names of files or folders to open."""
    mpp_stated = Signal(float)
    features_chosen = Signal(Path)
    """File or folder of features that another tool made of the slide."""

    def __init__(self) -> None:
        super().__init__()
        self.choice = choice(self.chosen.emit)
        self.scale = sentence()
        self.change = button("Set…", self.ask_mpp, "Set µm per pixel where the file does not say or says it wrong")
        self.mpp = QDoubleSpinBox(decimals=4, minimum=0.02, maximum=100, value=0.5, singleStep=0.01)
        self.mpp.setSuffix(" µm/px")
        self.use = button("Use", self._state)
        self._editor = QWidget()
        column(row(self.mpp, self.use), into=self._editor)
        self._folder = ""
        entries: dict[str, Callable[[], object]] = {
            "Slide file…": self._ask_for_files,
            "Slide folder… (OME-Zarr, DICOM)": self._ask_for_folder,
            "Attach features…": self._ask_for_features,
            "Attach features folder… (LazySlide, ours)": partial(self._ask_for_features, folder=True),
        }
        self.opener = menu_button("Open", entries, "Open slides lazily, whatever their size")
        column(
            row(title("Slide"), self.choice, self.opener),
            row(title(""), self.scale, self.change),
            self._editor,
            into=self,
        )
        self._editor.hide()

    def show_slides(self, names: Sequence[str], current: int, slide: Slide | None) -> None:
        """Show the open slides and the chosen one."""
        self._folder = str(slide.path.parent) if slide else ""
        self.choice.clear()
        self.choice.addItems(list(names) or ["none is open"])
        self.choice.setCurrentIndex(max(0, current))
        self.choice.setEnabled(bool(names))
        self.scale.setText(scale_words(slide) if slide else "")
        self.change.setVisible(slide is not None)
        if slide is None or slide.frame.mpp is not None:
            self._editor.hide()

    def allow_change(self, allowed: bool) -> None:
        """Let the scale be set, or not: a prediction that is going on counts on it."""
        self.change.setEnabled(allowed)
        self.use.setEnabled(allowed)

    def ask_mpp(self) -> None:
        """Let a person type µm per pixel."""
        self._editor.setVisible(not self._editor.isVisible())
        self.mpp.setFocus()

    def _ask_for_files(self) -> None:
        self.files_chosen.emit(QFileDialog.getOpenFileNames(self, "Open slides", self._folder)[0])

    def _ask_for_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Open the folder of a slide", self._folder):
            self.files_chosen.emit([folder])

    def _ask_for_features(self, *, folder: bool = False) -> None:
        ask = QFileDialog.getExistingDirectory if folder else QFileDialog.getOpenFileName
        words = "Features of this slide: TRIDENT, CLAM, STAMP, Slideflow, AnnData, h5"
        found = ask(self, words, self._folder)
        if name := found if folder else found[0]:
            self.features_chosen.emit(Path(name))

    def _state(self) -> None:
        self._editor.hide()
        self.mpp_stated.emit(self.mpp.value())


def scale_words(slide: Slide) -> str:
    """Return "0.252 µm/px (Aperio header) · 61,000 × 48,000 px", width first as people say it."""
    height, width = slide.frame.shape_px0
    mpp = slide.frame.mpp
    scale = f"{mpp.mean:.4g} µm/px ({mpp.source})" if mpp else "µm/px unknown"
    return f"{scale} · {width:,} × {height:,} px"


class ModelRow(QWidget):
    """Chooses a model and tells what it is."""

    chosen = Signal(int)
    """Index into the names."""
    folder_chosen = Signal(Path)

    def __init__(self) -> None:
        super().__init__()
        self.choice = choice(self._choose)
        self.choice.setPlaceholderText("none yet")
        self.line = small()
        self.info = button("Card…", self._show_card, "What the model was trained on, and its limits")
        self._bundle: Bundle | None = None
        self._current = -1
        self.encoder = EncoderRow()
        self.encoder.changed.connect(lambda: self.chosen.emit(self._current))
        column(row(title("Model"), self.choice, self.info), row(title(""), self.line), self.encoder, into=self)

    def show_models(self, titles: Sequence[str], current: int, bundle: Bundle | None) -> str:
        """Show the known models and the chosen one; return what its patch encoder still needs, or ""."""
        self._bundle, self._current = bundle, current if titles else -1
        self.choice.clear()
        self.choice.addItems([*titles, "from a folder …"])
        self.choice.setCurrentIndex(self._current)
        self.info.setEnabled(bundle is not None)
        self.line.setText("")
        if bundle is not None:
            encoder = bundle.card.patch_encoder
            self.line.setText(f"{encoder.name} · {encoder.tile_px} px at {encoder.mpp:g} µm/px · {bundle.card.licence}")
        return self.encoder.show_for(bundle.card.patch_encoder.name if bundle else "")

    def _choose(self, index: int) -> None:
        if index < self.choice.count() - 1:
            self.chosen.emit(index)
        elif folder := QFileDialog.getExistingDirectory(self, "Folder of a model"):
            self.folder_chosen.emit(Path(folder))
        else:
            self.choice.setCurrentIndex(self._current)

    def _show_card(self) -> None:
        if self._bundle is None:
            return
        box = QMessageBox(self)
        box.setWindowTitle(self._bundle.card.title)
        box.setText(card_words(self._bundle))
        box.open()


def card_words(bundle: Bundle) -> str:
    """Return the model card as a text of a few paragraphs."""
    card = bundle.card
    metrics = "\n".join(f"{name}: {value}" for name, value in card.metrics.items())
    gate = " · given out only after an agreement" if card.gated else ""
    paragraphs = [
        f"{card.title}\n{card.description}",
        f"Trained on: {card.trained_on}",
        f"Limits: {card.limits}",
        metrics and f"Measured:\n{metrics}",
        f"Licence: {card.licence}{gate}\nSource: {card.source}\nMade: {card.created}",
        card.research_use_only,
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


class ExtentRow(QWidget):
    """Chooses where to predict."""

    chosen = Signal(object)
    """An `napari_pathlupi.panel_state.Extent`."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons = {extent: QRadioButton(extent.value) for extent in Extent}
        self._group = QButtonGroup(self)
        for extent, radio in self.buttons.items():
            self._group.addButton(radio)
            radio.setToolTip(f"Predict on {extent.value}")
            radio.clicked.connect(lambda _, extent=extent: self.chosen.emit(extent))
        self.buttons[Extent.WHOLE].setChecked(True)
        column(row(*self.buttons.values()), into=self)

    def show_regions(self, count: int, selected: bool) -> None:
        """Say how many regions there are to predict on."""
        words = "region" if count == 1 else "regions"
        self.buttons[Extent.REGIONS].setText(f"{count} {words}" if count else "regions")
        self.buttons[Extent.REGIONS].setToolTip(
            "Predict on the regions that are selected" if selected else "Predict on all regions that are drawn"
        )

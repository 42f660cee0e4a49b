"""napari's loading in the background: offered with a reason, turned on and off by a click, never otherwise."""

from qtpy.QtWidgets import QWidget

from napari_pathlupi.panel_state import advice_on_loading
from napari_pathlupi.widgets._parts import Hints, column, sentence
from napari_pathlupi.widgets._settings import (
    background_events,
    load_in_background,
    loads_in_background,
    offers_background,
    stop_offering_background,
)
from napari_pathlupi.widgets._ties import Ties


class BackgroundRow(QWidget):
    """Says whether painting waits for the file, while a slide is open and until it is hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.sentence, self.hints = sentence(), Hints()
        self.hints.taken.connect(self._take)
        column(self.sentence, self.hints, into=self)
        self._slide_open = False

    def follow(self, ties: Ties) -> None:
        """Follow the settings until the ties are cut."""
        for emitter in background_events():
            ties.connect(emitter, self._show)

    def show_for(self, slide_open: bool) -> None:
        """Show it where there is a slide to paint."""
        self._slide_open = slide_open
        self._show()

    def _show(self) -> None:
        advice = advice_on_loading(self._slide_open, loads_in_background(), offers_background())
        self.setVisible(advice is not None)
        if advice is not None:
            self.sentence.setText(advice.sentence)
            self.hints.show_hints(advice.hints)

    def _take(self, action: str) -> None:
        if action == "background:hide":
            stop_offering_background()
        else:
            load_in_background(action == "background:on")

"""What a person drew, and what was predicted so far, as tables."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QFileDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_pathlupi.core.geometry import Mpp
from napari_pathlupi.core.regions import AnnotatedRegion
from napari_pathlupi.errors import PathlupiError
from napari_pathlupi.runs import Run
from napari_pathlupi.widgets._parts import allow, button, column, row, sentence, warn
from napari_pathlupi.widgets._settings import export_folder

_ROW_PX, _MOST_ROWS, _SLIDE_PX = 24, 5, 50


class Table(QTableWidget):
    """A small table to read and to choose a row of; as high as what it holds, and never wider than the panel.

    Parameters
    ----------
    headings
        Of the columns.
    flexible
        Which column has the room that the others leave; cut with dots where it is too long, and whole on hover.
    """

    def __init__(self, *headings: str, flexible: int) -> None:
        super().__init__(0, len(headings))
        self.setHorizontalHeaderLabels(headings)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(flexible, QHeaderView.ResizeMode.Stretch)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(False)  # or a cell is cut after a word, with room left
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.show_rows([])

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these cells; without any there is no table."""
        self.setVisible(bool(rows))
        self.setRowCount(len(rows))
        for i, cells in enumerate(rows):
            for j, words in enumerate(cells):
                item = QTableWidgetItem(words)
                item.setToolTip(words)
                self.setItem(i, j, item)
        height = self.horizontalHeader().sizeHint().height() + _ROW_PX * min(len(rows), _MOST_ROWS) + 4
        self.setFixedHeight(height)


class RegionsView(QWidget):
    """Lists regions, starts drawing one and takes over those that the model found."""

    draw_asked = Signal()
    threshold_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.table = Table("Region", "Area", "Percentile", flexible=0)
        self.table.horizontalHeaderItem(2).setToolTip("Mean attention percentile of the tiles whose centre is inside")
        self.draw = button("Draw region", self.draw_asked.emit, "Click corner by corner, Esc or double click to end")
        self.from_threshold = button(
            "From threshold",
            self.threshold_asked.emit,
            "Outlines the tiles with more than an even share of the attention, from the lower end of Percentile on",
        )
        self.said = sentence()
        self.said.hide()
        column(self.table, row(self.draw, self.from_threshold), self.said, into=self)

    def say(self, words: str) -> None:
        """Say why nothing was outlined, or with "" nothing any more."""
        self.said.setText(words)
        self.said.setVisible(bool(words))
        warn(self.said, True)

    def allow(self, *, slide: bool, run: bool) -> None:
        """Let regions be drawn where there is a slide, and taken over where there is a run on it."""
        allow(self.draw, "" if slide else "Open a slide to draw on it")
        allow(self.from_threshold, "" if run else "Predict on this slide first")

    def show_regions(self, regions: Sequence[AnnotatedRegion], mpp: Mpp | None, run: Run | None) -> None:
        """Show regions with their area and the attention that the run gave them."""
        self.table.show_rows([region_words(region, mpp, run) for region in regions])


def region_words(region: AnnotatedRegion, mpp: Mpp | None, run: Run | None) -> tuple[str, str, str]:
    """Return name, area and mean attention percentile of a region as words."""
    name = region.name or region.classification
    area = f"{region.area_um2(mpp) / 1e6:.3g} mm²" if mpp else "scale unknown"
    if run is None:
        return name, area, "not predicted yet"
    if run.prediction.attention is None:
        return name, area, "no attention"
    attention = attention_in(region, run)
    return name, area, "not looked at" if np.isnan(attention) else f"{100 * attention:.0f}"


def attention_in(region: AnnotatedRegion, run: Run) -> float:
    """Return the mean attention percentile, 0 to 1, of the tiles whose centre lies in a region; NaN for none."""
    prediction = run.prediction
    centres = prediction.grid.origins_px0 + np.array(prediction.grid.side_px0) / 2
    inside = shapely.contains_xy(region.geometry, centres[:, 1], centres[:, 0]) & prediction.read
    return float(prediction.percentile[inside].mean()) if inside.any() else float("nan")


class RunsView(QWidget):
    """Lists the predictions of this session, newest first, and asks where to export one."""

    chosen = Signal(int)
    """Index of a run in the order they were made."""
    export_asked = Signal(Path)
    """Folder for the files."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table("At", "Answer", "Where", "Slide", flexible=1)
        self.table.horizontalHeader().setSectionResizeMode(3, QHeaderView.ResizeMode.Interactive)
        self.table.setColumnWidth(3, _SLIDE_PX)
        self.table.cellClicked.connect(lambda row, _: self.chosen.emit(self.table.rowCount() - 1 - row))
        self.beside = ""
        self.export = button("Export…", self._ask_for_folder, "Regions for QuPath, tables, attention map and report")
        self.said = sentence()
        self.said.hide()
        self.actions = row(self.export)
        column(self.table, self.actions, self.said, into=self)

    def _ask_for_folder(self) -> None:
        chosen = export_folder() or QFileDialog.getExistingDirectory(self, "Export to", self.beside)
        if chosen:
            self.say("Writing …")
            self.export_asked.emit(Path(chosen))

    def say(self, words: str, *, warning: bool = False) -> None:
        """Say what came of an export."""
        self.said.setText(words)
        self.said.show()
        warn(self.said, warning)

    def show_exported(self, outcome: list[Path] | PathlupiError) -> None:
        """Say which files were written, or why none was."""
        if isinstance(outcome, PathlupiError):
            self.say(str(outcome), warning=True)
        elif outcome:
            self.say(f"{len(outcome)} files in {outcome[0].parent}: {', '.join(path.name for path in outcome)}.")
        else:
            self.say("There is nothing to export yet: predict, or draw a region.", warning=True)

    def allow_export(self, allowed: bool) -> None:
        """Let be exported what there is: a run or drawn regions."""
        allow(self.export, "" if allowed else "There is nothing to export yet: predict, or draw a region")

    def show_runs(self, runs: Sequence[Run], current: Run | None) -> None:
        """Show runs and mark the one that the panel is about."""
        self.table.show_rows(
            [(run.time, run.answer, run.extent, run.prediction.provenance.slide_name) for run in reversed(runs)]
        )
        self.table.clearSelection()
        for index, run in enumerate(reversed(runs)):
            if current is not None and run.identity == current.identity:
                self.table.selectRow(index)

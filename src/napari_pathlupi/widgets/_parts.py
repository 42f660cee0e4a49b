"""Small pieces that the sections of the panel are made of."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel, QSearchableComboBox

from napari_pathlupi.panel_state import Hint

GREY = "#8a8a8a"
_TAKES_ROOM = (QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
_AMBER = "#e69f00"


def column(*rows: QWidget | QHBoxLayout | QVBoxLayout, into: QWidget | None = None, margin: int = 0) -> QVBoxLayout:
    """Return the rows one below the other, laid out in a widget if one is given."""
    return _fill(QVBoxLayout(into) if into else QVBoxLayout(), rows, margin)


def row(*cells: QWidget) -> QHBoxLayout:
    """Return the widgets side by side; labels and drop-downs take the room that buttons leave."""
    layout = _fill(QHBoxLayout(), cells, 0)
    for cell in cells:
        layout.setStretchFactor(cell, int(cell.sizePolicy().horizontalPolicy() in _TAKES_ROOM))
    return layout


def _fill(
    layout: QHBoxLayout | QVBoxLayout, parts: tuple[QWidget | QHBoxLayout | QVBoxLayout, ...], margin: int
) -> QVBoxLayout:
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(4)
    for part in parts:
        (layout.addWidget if isinstance(part, QWidget) else layout.addLayout)(part)
    return layout


def title(words: str) -> QLabel:
    """Return a label of fixed width before a choice."""
    label = QLabel(words)
    label.setFixedWidth(50)
    return label


def sentence(words: str = "") -> QLabel:
    """Return a label that wraps and whose text can be copied."""
    label = QLabel(words)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def small(words: str = "") -> QElidingLabel:
    """Return a line of secondary text, cut with dots where it is too long and whole on hover."""
    label = QElidingLabel(words)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def warn(label: QLabel, on: bool) -> None:
    """Mark a sentence as one about something that is in the way, or not."""
    label.setStyleSheet(f"border-left: 4px solid {_AMBER}; padding-left: 6px;" if on else "")


def button(words: str, call: Callable[[], object], tip: str = "") -> QPushButton:
    """Return a button."""
    made = QPushButton(words)
    made.clicked.connect(lambda: call())
    made.setToolTip(tip)
    made.setWhatsThis(tip)
    return made


def allow(made: QPushButton, why_not: str = "") -> None:
    """Let a button be clicked, or say on hover why it cannot be."""
    made.setEnabled(not why_not)
    made.setToolTip(why_not or made.whatsThis())


def menu_button(words: str, calls: Mapping[str, Callable[[], object]], tip: str = "") -> QPushButton:
    """Return a button that offers several things to do."""
    made = QPushButton(words)
    made.setToolTip(tip)
    menu = QMenu(made)
    for entry, call in calls.items():
        menu.addAction(entry).triggered.connect(lambda _, call=call: call())
    made.setMenu(menu)
    return made


def choice(call: Callable[[int], object]) -> QComboBox:
    """Return a drop-down that shortens its entries rather than widen the panel; a person's choice calls back."""
    made = _Dotted()
    made.currentTextChanged.connect(made.setToolTip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    made.activated.connect(call)
    return made


def search(call: Callable[[int], object], hint: str) -> QComboBox:
    """Return a drop-down in which a part of an entry is typed to find it; a person's choice calls back."""
    made = QSearchableComboBox()
    made.lineEdit().setPlaceholderText(hint)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    made.activated.connect(call)
    return made


class _Dotted(QComboBox):
    """A drop-down that cuts its entry with dots where it is too long."""

    def paintEvent(self, event: QPaintEvent) -> None:
        option, painter = QStyleOptionComboBox(), QStylePainter(self)
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        room = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, field, self)
        words = option.currentText or self.placeholderText()
        dotted = option.fontMetrics.elidedText(words, Qt.TextElideMode.ElideRight, room.width() - 8)
        option.currentText = dotted
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class Fold(QWidget):
    """A section that folds: a heading to click, and what it is about."""

    def __init__(self, words: str, view: QWidget) -> None:
        super().__init__()
        self.heading = QToolButton(text=words, checkable=True, checked=True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setStyleSheet("QToolButton { border: none; font-weight: bold; background: transparent; }")
        self.heading.toggled.connect(view.setVisible)
        self.heading.toggled.connect(self._point)
        self._point(True)
        column(rule(), self.heading, view, into=self)

    def _point(self, unfolded: bool) -> None:
        self.heading.setArrowType(Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow)


class Hints(QWidget):
    """Things to click that help, side by side."""

    taken = Signal(str)
    """The action of a `napari_pathlupi.panel_state.Hint`."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = _fill(QHBoxLayout(self), (), 0)
        self._shown: tuple[Hint, ...] = ()

    def show_hints(self, hints: Sequence[Hint]) -> None:
        """Show these, none to show nothing."""
        self.setVisible(bool(hints))
        if tuple(hints) == self._shown:
            return
        self._shown = tuple(hints)
        empty(self._layout)
        for hint in hints:
            self._layout.addWidget(button(hint.text, partial(self.taken.emit, hint.action)))


def empty(layout: QLayout) -> None:
    """Take everything out of a layout, at once for the eye."""
    while (item := layout.takeAt(0)) is not None:
        item.widget().hide()
        item.widget().deleteLater()


def rule() -> QFrame:
    """Return a thin line."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line

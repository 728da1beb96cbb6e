"""Form fields: groups, folders, layers, devices, progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari import Viewer

#: Narrowest width of a widget, pixels.
WIDTH = 320


class Page(QWidget):
    """Groups of fields, one below the other; scrolls where the window is low."""

    def __init__(self) -> None:
        super().__init__()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        inner = QWidget()
        self.column = QVBoxLayout(inner)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.column.setContentsMargins(4, 10, 8, 4)
        self.column.setSpacing(10)
        area.setWidget(inner)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(area)
        self.setMinimumWidth(WIDTH)

    def group(self, title: str) -> QFormLayout:
        """Add a group with a title; return its form."""
        box = QGroupBox(title)
        self.column.addWidget(box)
        return add_form(box)


def add_form(widget: QWidget) -> QFormLayout:
    """Give a widget rows of a label and a field."""
    form = QFormLayout(widget)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    form.setContentsMargins(6, 6, 6, 6)
    return form


def add_row(form: QFormLayout, label: str, field: QWidget, tip: str) -> None:
    """Add a field with its label; both show the tip."""
    field.setToolTip(tip)
    name = QLabel(label)
    name.setToolTip(tip)
    form.addRow(name, field)


def make_label(text: str = "") -> QLabel:
    """Return a label whose text wraps where the widget is narrow."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def make_button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    """Return a button with a tip and a callback."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.clicked.connect(lambda _=False: clicked())
    return made


def make_row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def make_shrinkable(choice: QComboBox) -> None:
    """Let a choice be narrower than its longest item."""
    choice.setMinimumContentsLength(6)
    choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)


class FolderEdit(QWidget):
    """The path of a folder, typed or chosen; `chosen` is emitted when it changes."""

    chosen = Signal()

    def __init__(self, hint: str = "") -> None:
        super().__init__()
        self.line = QLineEdit()
        self.line.setPlaceholderText(hint)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip("choose a folder")
        self.browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line)
        layout.addWidget(self.browse)
        self._last = ""
        self.line.editingFinished.connect(self._edited)

    def path(self) -> Path | None:
        """Return the path; None if the field is empty."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: Path | str | None) -> None:
        """Set the path."""
        self.line.setText("" if path is None else str(path))
        self._edited()

    def _edited(self) -> None:
        if self.line.text() != self._last:
            self._last = self.line.text()
            self.line.setToolTip(self._last)
            self.chosen.emit()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", self.line.text())
        if folder:
            self.set_path(folder)


class LayerChoice(QComboBox):
    """One of the viewer's layers of a type; `chosen` is emitted when it changes.

    `without` is the text of a first choice that is no layer.
    """

    chosen = Signal()

    def __init__(self, viewer: Viewer, kind: Any, without: str = "") -> None:
        super().__init__()
        self.viewer, self.kind, self.without = viewer, kind, without
        self._last: Any = None
        make_shrinkable(self)
        for name in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, name).connect(self._refill)
        self.currentIndexChanged.connect(self._emit_change)
        self.destroyed.connect(self._make_disconnect())
        self._refill()

    def layer(self) -> Any:
        """Return the layer; None if there is none of the type."""
        return self.currentData()

    def choose(self, layer: Any) -> None:
        """Choose a layer of the list."""
        places = [index for index in range(self.count()) if self.itemData(index) is layer]
        if places:
            self.setCurrentIndex(places[0])

    def _refill(self, event: object = None) -> None:
        layer = self.layer()
        with QSignalBlocker(self):
            self.clear()
            if self.without:
                self.addItem(self.without, None)
            for each in self.viewer.layers:
                if isinstance(each, self.kind):
                    self.addItem(each.name, each)
            self.choose(layer)
        self._emit_change()

    def _emit_change(self, index: int = 0) -> None:
        if self.layer() is not self._last:
            self._last = self.layer()
            self.chosen.emit()

    def _make_disconnect(self) -> Callable[[], None]:
        """Return a function that disconnects this choice from the viewer's events."""
        events, refill = self.viewer.layers.events, self._refill

        def disconnect() -> None:
            for name in ("inserted", "removed", "reordered", "renamed"):
                getattr(events, name).disconnect(refill)

        return disconnect


class DeviceChoice(QComboBox):
    """A device to compute on."""

    def __init__(self) -> None:
        super().__init__()
        self.addItems(["auto", "cpu", "cuda", "mps"])
        self.setToolTip("Device to compute on: auto takes a GPU where there is one")


class ProgressView(QWidget):
    """A progress bar with a message below it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(12)
        self.message = make_label()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)
        self.finish()

    def show_fraction(self, fraction: float | None) -> None:
        """Show the fraction that is done; None if unknown."""
        self.bar.setVisible(True)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))

    def show_message(self, text: str) -> None:
        """Show a message."""
        self.message.setText(text)

    def finish(self, text: str = "") -> None:
        """Hide the bar and show a last message."""
        self.bar.setVisible(False)
        self.show_message(text)

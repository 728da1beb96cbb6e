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
        return form_in(box)


def form_in(widget: QWidget) -> QFormLayout:
    """Give a widget rows of a label and a field."""
    form = QFormLayout(widget)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    form.setContentsMargins(6, 6, 6, 6)
    return form


def add_row(form: QFormLayout, label: str, field: QWidget, tip: str) -> None:
    """Add a field with its label; both say the tip."""
    field.setToolTip(tip)
    name = QLabel(label)
    name.setToolTip(tip)
    form.addRow(name, field)


def words(text: str = "") -> QLabel:
    """Return lines of text that break where the widget is narrow."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    """Return a button."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.clicked.connect(lambda _=False: clicked())
    return made


def in_a_row(*widgets: QWidget) -> QWidget:
    """Return widgets side by side."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row


def shrinkable(choice: QComboBox) -> None:
    """Let a choice be narrower than its longest item."""
    choice.setMinimumContentsLength(6)
    choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)


class FolderEdit(QWidget):
    """The path of a folder, typed or chosen; `chosen` comes when it is another one."""

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
        """Return the path; None where nothing is written."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    def set_path(self, path: Path | str | None) -> None:
        """Write a path."""
        self.line.setText("" if path is None else str(path))
        self._edited()

    def _edited(self) -> None:
        if self.line.text() != self._last:
            self._last = self.line.text()
            self.line.setToolTip(self._last)
            self.chosen.emit()

    def _browse(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Choose a folder", self.line.text())
        if found:
            self.set_path(found)


class LayerChoice(QComboBox):
    """One of the viewer's layers of a kind; `chosen` comes when it is another one."""

    chosen = Signal()

    def __init__(self, viewer: Viewer, kind: Any) -> None:
        super().__init__()
        self.viewer, self.kind = viewer, kind
        self._last: Any = None
        shrinkable(self)
        for name in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, name).connect(self._refill)
        self.currentIndexChanged.connect(self._tell)
        self.destroyed.connect(self._forget())
        self._refill()

    def layer(self) -> Any:
        """Return the layer; None where there is none of the kind."""
        return self.currentData()

    def choose(self, layer: Any) -> None:
        """Choose a layer, if it is there."""
        places = [index for index in range(self.count()) if self.itemData(index) is layer]
        if places:
            self.setCurrentIndex(places[0])

    def _refill(self, event: object = None) -> None:
        layer = self.layer()
        with QSignalBlocker(self):
            self.clear()
            for each in self.viewer.layers:
                if isinstance(each, self.kind):
                    self.addItem(each.name, each)
            self.choose(layer)
        self._tell()

    def _tell(self, index: int = 0) -> None:
        if self.layer() is not self._last:
            self._last = self.layer()
            self.chosen.emit()

    def _forget(self) -> Callable[[], None]:
        """Return what takes this choice off the viewer's events."""
        events, refill = self.viewer.layers.events, self._refill

        def forget() -> None:
            for name in ("inserted", "removed", "reordered", "renamed"):
                getattr(events, name).disconnect(refill)

        return forget


class DeviceChoice(QComboBox):
    """A device to compute on."""

    def __init__(self) -> None:
        super().__init__()
        self.addItems(["auto", "cpu", "cuda", "mps"])
        self.setToolTip("What to compute on: auto takes a GPU where there is one")


class Progress(QWidget):
    """A bar and a line of words below it."""

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(12)
        self.said = words()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.bar)
        layout.addWidget(self.said)
        self.idle()

    def show_share(self, share: float | None) -> None:
        """Show how much is done; None: nobody knows."""
        self.bar.setVisible(True)
        self.bar.setRange(0, 0 if share is None else 1000)
        if share is not None:
            self.bar.setValue(round(1000 * share))

    def say(self, text: str) -> None:
        """Say what is going on."""
        self.said.setText(text)

    def idle(self, text: str = "") -> None:
        """Hide the bar; say how it ended."""
        self.bar.setVisible(False)
        self.say(text)

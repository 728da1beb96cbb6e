"""Widget *Train*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox

from embedseg.methods import METHODS
from embedseg.napari._forms import DeviceChoice, FolderEdit, Page, add_row
from embedseg.napari._training import Order, Training
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer

#: What the choice of a method says where it is left to the plan.
PLANNED = "embedding, or that of the model to start from"


class Train(Page):
    """Train a model on a data folder; watch, stop and resume it."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        form = self.group("Data")
        self.data = FolderEdit("train/images, train/masks …")
        add_row(
            form,
            "Folder",
            self.data,
            "Data folder with train/images and train/masks; val or test beside train if there are",
        )
        form = self.group("Model")
        self.folder, self.start = FolderEdit("a new folder"), FolderEdit("optional")
        self.method, self.minutes, self.device = QComboBox(), minutes_field(15), DeviceChoice()
        self.method.addItem("as planned", None)
        for name in sorted(METHODS):
            self.method.addItem(name, name)
        add_row(form, "Folder", self.folder, "Where the model goes; to resume, where it is")
        add_row(form, "Start from", self.start, "Model to fine-tune: its weights are the start")
        add_row(form, "Method", self.method, f"What is learned; as planned: {PLANNED}")
        add_row(
            form,
            "Time limit",
            self.minutes,
            "Length of the training, all together where it is resumed",
        )
        add_row(form, "Device", self.device, self.device.toolTip())
        self.training = Training(napari_viewer, self.order)
        self.column.addWidget(self.training)
        self.folder.chosen.connect(self.training.show_state)
        self.data.chosen.connect(self.training.show_state)

    def order(self) -> Order:
        """Return what is to be trained.

        Raises
        ------
        UsageError
            If a folder is missing.
        """
        data, folder = self.data.path(), self.folder.path()
        if data is None:
            raise UsageError("choose a data folder first")
        if folder is None:
            raise UsageError("choose a folder for the model first")
        return Order(
            data,
            folder,
            self.minutes.value(),
            self.device.currentText(),
            self.method.currentData(),
            self.start.path(),
        )


def minutes_field(minutes: float) -> QDoubleSpinBox:
    """Return a field for a time limit."""
    field = QDoubleSpinBox()
    field.setRange(0.05, 24 * 60)
    field.setDecimals(1)
    field.setSuffix(" min")
    field.setValue(minutes)
    return field

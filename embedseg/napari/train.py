"""Widget *Train*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox

from embedseg.methods import METHODS
from embedseg.napari._forms import DeviceChoice, FolderEdit, Page, add_row
from embedseg.napari._models import ModelEdit
from embedseg.napari._training import TrainingPanel, TrainingRequest
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer

#: Tip for the method where it is left to the plan.
PLANNED_METHOD = "embedding, or that of the model to start from"


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
            "Data folder with train/images and train/masks; val and test beside train are optional",
        )
        form = self.group("Model")
        self.folder, self.start = FolderEdit("a new folder"), ModelEdit("optional")
        self.method, self.minutes, self.device = QComboBox(), make_minutes_field(15), DeviceChoice()
        self.method.addItem("as planned", None)
        for name in sorted(METHODS):
            self.method.addItem(name, name)
        add_row(form, "Folder", self.folder, "Folder for the model; to resume, its present folder")
        add_row(form, "Start from", self.start, "Model to fine-tune: its weights are the start")
        add_row(form, "Method", self.method, f"Method to train; as planned: {PLANNED_METHOD}")
        add_row(
            form,
            "Time limit",
            self.minutes,
            "Length of the training; in total, if it is resumed",
        )
        add_row(form, "Device", self.device, self.device.toolTip())
        self.training = TrainingPanel(napari_viewer, self.request)
        self.column.addWidget(self.training)
        self.folder.chosen.connect(self.training.show_state)
        self.data.chosen.connect(self.training.show_state)

    def request(self) -> TrainingRequest:
        """Return the training that the form describes.

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
        return TrainingRequest(
            data,
            folder,
            self.minutes.value(),
            self.device.currentText(),
            self.method.currentData(),
            self.start.path(),
        )


def make_minutes_field(minutes: float) -> QDoubleSpinBox:
    """Return a field for a time limit."""
    field = QDoubleSpinBox()
    field.setRange(0.05, 24 * 60)
    field.setDecimals(1)
    field.setSuffix(" min")
    field.setValue(minutes)
    return field

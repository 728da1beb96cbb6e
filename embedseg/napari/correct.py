"""Widget *Correct and retrain*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer, Labels
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QComboBox, QLineEdit

from embedseg.common import plural
from embedseg.images import Image, label_axes
from embedseg.napari._forms import (
    DeviceChoice,
    FolderEdit,
    LayerChoice,
    Page,
    add_row,
    make_button,
    make_label,
)
from embedseg.napari._layers import layer_to_image, list_axes
from embedseg.napari._models import ModelEdit
from embedseg.napari._results import BOX_KEY
from embedseg.napari._training import TrainingPanel, TrainingRequest
from embedseg.napari._work import notify_error
from embedseg.napari.train import make_minutes_field
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer


class Correct(Page):
    """Add corrected labels with their image to a data folder, and fine-tune the model on it."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self._build_adding()
        form = self.group("Retrain")
        self.start, self.folder = ModelEdit("folder of the model"), FolderEdit("a new folder")
        self.minutes, self.device = make_minutes_field(5), DeviceChoice()
        add_row(form, "Start from", self.start, "Model to fine-tune: its weights are the start")
        add_row(form, "New model", self.folder, "Folder for the new model")
        add_row(
            form,
            "Time limit",
            self.minutes,
            "Length of the training; in total, if it is resumed",
        )
        add_row(form, "Device", self.device, self.device.toolTip())
        self.training = TrainingPanel(napari_viewer, self.request)
        self.training.go.setText("Retrain")
        self.column.addWidget(self.training)
        for edit in (self.folder, self.data):
            edit.chosen.connect(self.training.show_state)
        self.start.chosen.connect(self._propose_folder)
        self._labels_chosen()
        self._image_chosen()

    def _build_adding(self) -> None:
        form = self.group("Add to the data")
        self.labels, self.image = (
            LayerChoice(self.viewer, Labels),
            LayerChoice(self.viewer, ImageLayer),
        )
        self.axes, self.name, self.split = QComboBox(), QLineEdit(), QComboBox()
        self.data, self.message = FolderEdit("a data folder, new or existing"), make_label()
        self.split.addItem("training", "train")
        self.split.addItem("validation", "val")
        self.labels.chosen.connect(self._labels_chosen)
        self.image.chosen.connect(self._image_chosen)
        add_row(
            form,
            "Labels",
            self.labels,
            "Labels layer, corrected: 0 is background, -1 not annotated",
        )
        add_row(form, "Image", self.image, "The image that the labels belong to")
        add_row(form, "Axes", self.axes, "Axes of the image: T is time, C are channels")
        add_row(form, "Data folder", self.data, "Folder for image and labels; made if needed")
        add_row(form, "Name", self.name, "Of both files")
        add_row(
            form,
            "Use for",
            self.split,
            "Train on the image, or use it to choose the best weights and thresholds",
        )
        self.add = make_button(
            "Add image and labels",
            "Write both into the data folder; existing files are not overwritten",
            self.add_pair,
        )
        form.addRow(self.add)
        form.addRow(self.message)

    def _labels_chosen(self) -> None:
        """Choose the image and the model of the labels, as far as they are known."""
        layer = self.labels.layer()
        if layer is None:
            return
        image = layer.metadata.get("embedseg image")
        if image in self.viewer.layers:
            self.image.choose(self.viewer.layers[image])
        model = layer.metadata.get("embedseg model")
        if model and self.start.path() is None:
            self.start.set_path(model)

    def _image_chosen(self) -> None:
        layer = self.image.layer()
        self.axes.clear()
        if layer is not None:
            self.axes.addItems(list_axes(layer))
            self.name.setText("".join(c if c.isalnum() or c in "-_" else "_" for c in layer.name))

    def _propose_folder(self) -> None:
        """Propose a new folder for the new model, beside the old one."""
        start = self.start.path()
        if start is not None and self.folder.path() is None:
            tries = (start.with_name(f"{start.name}-{number}") for number in range(2, 1000))
            self.folder.set_path(next(path for path in tries if not path.exists()))
        self.training.show_state()

    def add_pair(self) -> None:
        """Write the image and the labels into the data folder."""
        from embedseg.data import add_pair

        try:
            image, labels = self._images()
            data = self.data.path()
            if data is None:
                raise UsageError("choose a data folder first")
            split = str(self.split.currentData())
            added = add_pair(data, split, self.name.text().strip(), image, labels)
        except Exception as error:
            self.message.setText(notify_error(error))
            return
        count = len(list(added.images.parent.iterdir()))
        self.message.setText(f"{added.images.name} added to {split}, now {plural(count, 'image')}")
        show_info(f"added {added.images} and {added.masks}")
        self.training.show_state()

    def _images(self) -> tuple[Image, Image]:
        image, labels, axes = self.image.layer(), self.labels.layer(), self.axes.currentText()
        if image is None or labels is None:
            kind = "an image layer" if image is None else "a labels layer"
            raise UsageError(f"choose {kind} first; there is none")
        # Of a part of the image, where the labels belong to one.
        own = labels.metadata.get("embedseg image") == image.name
        box = tuple(slice(*side) for side in labels.metadata.get(BOX_KEY, ()) if own)
        return layer_to_image(image, axes, box), layer_to_image(labels, label_axes(axes))

    def request(self) -> TrainingRequest:
        """Return the training that the form describes.

        Raises
        ------
        UsageError
            If a folder is missing.
        """
        folders: dict[str, Any] = {
            "a data folder": self.data.path(),
            "the model to start from": self.start.path(),
            "a folder for the new model": self.folder.path(),
        }
        for name, path in folders.items():
            if path is None:
                raise UsageError(f"choose {name} first")
        data, start, folder = (Path(path) for path in folders.values())
        return TrainingRequest(
            data, folder, self.minutes.value(), self.device.currentText(), None, start
        )

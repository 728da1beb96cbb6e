"""Widget *Segment*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer, Shapes
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox

from embedseg.napari._boxes import find_box
from embedseg.napari._decoding import Decoded, predict_maps
from embedseg.napari._forms import (
    DeviceChoice,
    LayerChoice,
    Page,
    ProgressView,
    add_row,
    make_button,
    make_label,
    make_row,
)
from embedseg.napari._layers import (
    accepts_axes,
    copy_placement,
    layer_to_image,
    list_axes,
    read_spacing,
)
from embedseg.napari._models import ModelEdit, describe_model, load_model, remember_model
from embedseg.napari._results import PredictedLayer, ResultLayers
from embedseg.napari._sliders import OptionControls
from embedseg.napari._work import Worker, notify_error
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer

    from embedseg.segmenter import Segmenter

#: Milliseconds without a change of a slider before the maps are decoded anew.
DECODE_DELAY = 150
#: Message between a click on Cancel and the end.
STOPPING_MESSAGE = "stopping …"


class Segment(Page):
    """Segment an image layer with a trained model, and adjust thresholds by eye."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.model: Segmenter | None = None
        self.prediction: PredictedLayer | None = None
        self.results = ResultLayers(napari_viewer)
        self._decode_again = False
        self.worker, self.decoding = Worker(self), Worker(self)
        self._build_model()
        self._build_image()
        self._build_thresholds()
        self._build_results()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(DECODE_DELAY)
        self._pause.timeout.connect(self._decode)
        self.worker.progressed.connect(self._show_progress)
        self.worker.finished.connect(self._accept_result)
        self.worker.failed.connect(self.progress.finish)
        self.worker.closed.connect(self._show_state)
        self.decoding.finished.connect(self._show_decoded)
        self.decoding.failed.connect(self.progress.show_message)
        self.decoding.closed.connect(self._decode_changed)
        self._show_axes()
        self._show_state()

    # -- layout ----------------------------------------------------------------------------------
    def _build_model(self) -> None:
        form = self.group("Model")
        self.folder, self.device = ModelEdit("folder of a model"), DeviceChoice()
        self.about = make_label()
        self.folder.chosen.connect(self._load)
        self.device.currentTextChanged.connect(self._load)
        add_row(form, "Folder", self.folder, "Folder written by a training or an import")
        add_row(form, "Device", self.device, self.device.toolTip())
        form.addRow(self.about)

    def _build_image(self) -> None:
        form = self.group("Image")
        self.image, self.axes = LayerChoice(self.viewer, ImageLayer), QComboBox()
        self.spacing, self.tta = make_label(), QCheckBox("average over symmetries")
        self.image.chosen.connect(self._show_axes)
        self.axes.currentTextChanged.connect(self._show_size)
        add_row(form, "Layer", self.image, "Image layer to segment")
        add_row(form, "Axes", self.axes, "Axes of the layer: T is time, C are channels")
        add_row(form, "Pixel size", self.spacing, "From the layer's scale and units")
        self.part = LayerChoice(self.viewer, Shapes, "whole image")
        add_row(
            form,
            "Part",
            self.part,
            "Shapes layer whose rectangle (the selected or only one) is around the part; "
            "of a volume all planes, or those from the first to the last selected rectangle",
        )
        add_row(
            form,
            "",
            self.tta,
            "Test-time augmentation: averages over flips and quarter turns of the image, "
            "which takes longer and is often better",
        )
        self.go = make_button("Segment", "Run the model's net on the image", self.segment)
        self.cancel = make_button("Cancel", "Stop after the part in progress", self._cancel)
        self.progress = ProgressView()
        self.column.addWidget(make_row(self.go, self.cancel))
        self.column.addWidget(self.progress)

    def _build_thresholds(self) -> None:
        self.controls = OptionControls(self.group("Thresholds"))
        self.controls.changed.connect(self._pause_then_decode)
        self.reset = make_button("Reset", "Back to the model's own thresholds", self.controls.reset)
        self.keep = make_button(
            "Save in model", "Write these thresholds into the model's folder", self._keep
        )
        self.column.addWidget(make_row(self.reset, self.keep))

    def _build_results(self) -> None:
        form = self.group("Also show")
        self.centres, self.maps = QCheckBox("centres"), QCheckBox("maps")
        self.centres.setToolTip("Centres of objects as a points layer")
        self.maps.setToolTip("Maps predicted by the net, as image layers")
        self.centres.toggled.connect(self._decode)
        self.maps.toggled.connect(self._show_maps)
        form.addRow(make_row(self.centres, self.maps))

    def _show_state(self) -> None:
        busy, ready = self.worker.running, self.model is not None
        self.go.setEnabled(not busy)
        self.cancel.setEnabled(busy)
        for each in (self.folder, self.device, self.image, self.axes, self.part, self.tta):
            each.setEnabled(not busy)
        self.reset.setEnabled(ready)
        self.keep.setEnabled(ready)
        if not busy and self.progress.message.text() == STOPPING_MESSAGE:
            self.progress.finish("stopped")

    def _show_axes(self) -> None:
        """Offer the possible axes of the layer; those that fit the model, if there are any."""
        layer = self.image.layer()
        offered = list_axes(layer) if layer is not None else []
        if self.model is not None:
            config = self.model.config
            fitting = [axes for axes in offered if accepts_axes(axes, config.ndim, config.channels)]
            offered = fitting or offered
        if offered != [self.axes.itemText(index) for index in range(self.axes.count())]:
            self.axes.clear()
            self.axes.addItems(offered)
        self._show_size()

    def _show_size(self, axes: str = "") -> None:
        layer, axes = self.image.layer(), self.axes.currentText()
        spacing = read_spacing(layer, axes) if layer is not None and axes else None
        self.spacing.setText(
            "unknown: the model's is assumed"
            if spacing is None
            else " × ".join(f"{size:.4g}" for size in spacing) + " µm"
        )

    # -- the model -------------------------------------------------------------------------------
    def _load(self, *_: object) -> None:
        """Read the model in the folder."""
        folder, device = self.folder.path(), self.device.currentText()
        self.model = self.prediction = None
        self.results.labels = None  # labels of another model go into a new layer
        self.controls.clear()
        self.about.setText("")
        if folder is not None and not self.worker.running:
            self.progress.show_message("reading the model …")
            self.worker.start(lambda _: load_model(folder, device))
            self._show_state()

    def _accept_result(self, result: Any) -> None:
        """Take over a model that was read, or the predicted maps."""
        if isinstance(result, PredictedLayer):
            self.prediction = result
            self.progress.finish()
            self._show_maps()
            self._decode()
            return
        self.model = result
        self.controls.show_method(result.config.method)
        self.about.setText(describe_model(result))
        if folder := self.folder.path():
            remember_model(folder)
        self.progress.finish()
        self._show_axes()

    def _keep(self) -> None:
        """Save the thresholds in the model's folder."""
        assert self.model is not None and self.folder.path() is not None
        try:
            changed = self.model.with_options(self.controls.settings())
            changed.save(self.folder.path() or "")
        except Exception as error:
            self.progress.finish(notify_error(error))
            return
        self.model = changed
        self.controls.show_method(changed.config.method)
        self.progress.finish("thresholds saved in the model")

    # -- the net ---------------------------------------------------------------------------------
    def segment(self) -> None:
        """Run the net on the layer; moving a slider then decodes the maps anew."""
        try:
            model, layer, axes = self.model, self.image.layer(), self.axes.currentText()
            if model is None:
                raise UsageError("choose the folder of a model first")
            if layer is None:
                raise UsageError("open an image first; there is no image layer")
            part = self.part.layer()
            box = () if part is None else find_box(part, layer, axes)
            image, placement = layer_to_image(layer, axes, box), copy_placement(layer, axes, box)
        except Exception as error:
            self.progress.finish(notify_error(error))
            return
        tta = self.tta.isChecked()
        self._show_size()
        self.progress.show_fraction(None)
        self.progress.show_message("running the net …")
        self.worker.start(
            lambda worker: PredictedLayer(
                layer,
                placement,
                predict_maps(
                    model, image, tta, lambda done, total: worker.report(done / max(total, 1))
                ),
                box,
            )
        )
        self._show_state()

    def _show_progress(self, progress: object) -> None:
        if isinstance(progress, float):
            self.progress.show_fraction(progress or None)
        elif self.progress.message.text() != STOPPING_MESSAGE:
            self.progress.show_message(str(progress))

    def _cancel(self) -> None:
        self.worker.stop()
        self.progress.show_message(STOPPING_MESSAGE)
        self.cancel.setEnabled(False)

    # -- decoding --------------------------------------------------------------------------------
    def _pause_then_decode(self) -> None:
        self._pause.start()

    def _decode(self, *_: object) -> None:
        """Decode the maps with the options of the sliders; once more if they change meanwhile."""
        if self.model is None or self.prediction is None:
            return
        if self.decoding.running:
            self._decode_again = True
            return
        self._decode_again = False
        model, prediction, settings = self.model, self.prediction, self.controls.settings()
        self.decoding.start(
            lambda _: (prediction, prediction.maps.decode(model.with_options(settings)))
        )

    def _decode_changed(self) -> None:
        if self._decode_again:
            self._decode()

    def _show_decoded(self, result: tuple[PredictedLayer, Decoded]) -> None:
        prediction, decoded = result
        if prediction is self.prediction and self.model is not None:
            self.progress.finish(decoded.summary)
            metadata = {"embedseg model": str(self.folder.path())}
            self.results.show_labels(
                prediction, decoded, self.model.config.method.colours, metadata
            )
            self.results.show_centres(prediction, decoded if self.centres.isChecked() else None)

    def _show_maps(self, *_: object) -> None:
        self.results.show_maps(self.prediction if self.maps.isChecked() else None)

"""The widget *Segment*: a model on an image layer, with thresholds that can be moved at once."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox

from embedseg.napari._decoding import Found, Predicted, predict
from embedseg.napari._forms import (
    DeviceChoice,
    FolderEdit,
    LayerChoice,
    Page,
    Progress,
    add_row,
    button,
    in_a_row,
    words,
)
from embedseg.napari._layers import (
    as_image,
    fits,
    free_name,
    placed_like,
    possible_axes,
    spacing_of,
)
from embedseg.napari._sliders import Controls
from embedseg.napari._work import Work, report
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer

    from embedseg.model import Segmenter

#: Milliseconds that a slider rests before the maps are decoded anew.
PATIENCE = 150
#: What is said between a click on Cancel and the end.
STOPPING = "stopping …"


class Job(NamedTuple):
    """What was segmented.

    Attributes
    ----------
    layer : layer of napari
        The image.
    place : dict
        Where results belong.
    predicted : Predicted
        The maps.
    """

    layer: Any
    place: dict[str, Any]
    predicted: Predicted


class Segment(Page):
    """Segment an image layer with a trained model, and adjust thresholds by eye."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.model: Segmenter | None = None
        self.job: Job | None = None
        self.result: Any = None
        self._sum = 0
        self._again = False
        self.work, self.decoding = Work(self), Work(self)
        self._build_model()
        self._build_image()
        self._build_thresholds()
        self._build_results()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PATIENCE)
        self._pause.timeout.connect(self._decode)
        self.work.told.connect(self._show_progress)
        self.work.done.connect(self._take)
        self.work.failed.connect(self._fail)
        self.work.ended.connect(self._show_state)
        self.decoding.done.connect(self._show_found)
        self.decoding.failed.connect(self.progress.say)
        self.decoding.ended.connect(self._decoded)
        self._show_axes()
        self._show_state()

    # -- what there is to see --------------------------------------------------------------------
    def _build_model(self) -> None:
        form = self.group("Model")
        self.folder, self.device = FolderEdit("folder of a model"), DeviceChoice()
        self.about = words()
        self.folder.chosen.connect(self._load)
        self.device.currentTextChanged.connect(self._load)
        add_row(form, "Folder", self.folder, "Folder that a training or an import wrote")
        add_row(form, "Device", self.device, self.device.toolTip())
        form.addRow(self.about)

    def _build_image(self) -> None:
        form = self.group("Image")
        self.image, self.axes = LayerChoice(self.viewer, ImageLayer), QComboBox()
        self.spacing, self.tta = words(), QCheckBox("average over symmetries")
        self.image.chosen.connect(self._show_axes)
        self.axes.currentTextChanged.connect(self._show_size)
        add_row(form, "Layer", self.image, "Image layer to segment")
        add_row(form, "Axes", self.axes, "What the layer's axes are: T is time, C are channels")
        add_row(form, "Pixel size", self.spacing, "From the layer's scale and units")
        add_row(form, "", self.tta, "Test-time augmentation: the net sees the image flipped and "
                "turned too, which takes longer and is often better")
        self.go = button("Segment", "Run the model's net on the image", self.segment)
        self.cancel = button("Cancel", "Stop after the part in progress", self._cancel)
        self.progress = Progress()
        self.column.addWidget(in_a_row(self.go, self.cancel))
        self.column.addWidget(self.progress)

    def _build_thresholds(self) -> None:
        self.controls = Controls(self.group("Thresholds"))
        self.controls.changed.connect(self._pause_then_decode)
        self.reset = button("Reset", "Back to the model's own thresholds", self.controls.reset)
        self.keep = button("Save in model", "Write these thresholds into the model's folder",
                           self._keep)
        self.column.addWidget(in_a_row(self.reset, self.keep))

    def _build_results(self) -> None:
        form = self.group("Also show")
        self.centres, self.maps = QCheckBox("centres"), QCheckBox("maps")
        self.centres.setToolTip("Centres of objects as a points layer")
        self.maps.setToolTip("What the net put out, as image layers")
        self.centres.toggled.connect(self._decode)
        self.maps.toggled.connect(self._show_maps)
        form.addRow(in_a_row(self.centres, self.maps))

    def _show_state(self) -> None:
        busy, ready = self.work.running, self.model is not None
        self.go.setEnabled(not busy)
        self.cancel.setEnabled(busy)
        for each in (self.folder, self.device, self.image, self.axes, self.tta):
            each.setEnabled(not busy)
        self.reset.setEnabled(ready)
        self.keep.setEnabled(ready)
        if not busy and self.progress.said.text() == STOPPING:
            self.progress.idle("stopped")

    def _show_axes(self) -> None:
        """Offer what the axes of the layer may be, what fits the model first."""
        layer = self.image.layer()
        offered = possible_axes(layer) if layer is not None else []
        if self.model is not None:
            config = self.model.config
            good = [axes for axes in offered if fits(axes, config.ndim, config.channels)]
            offered = good or offered
        if offered != [self.axes.itemText(index) for index in range(self.axes.count())]:
            self.axes.clear()
            self.axes.addItems(offered)
        self._show_size()

    def _show_size(self, axes: str = "") -> None:
        layer, axes = self.image.layer(), self.axes.currentText()
        spacing = spacing_of(layer, axes) if layer is not None and axes else None
        self.spacing.setText("unknown: taken to be the model's" if spacing is None else
                          " × ".join(f"{size:.4g}" for size in spacing) + " µm")

    # -- the model -------------------------------------------------------------------------------
    def _load(self, *_: object) -> None:
        """Read the model in the folder."""
        folder, device = self.folder.path(), self.device.currentText()
        self.model = self.job = None
        self.controls.clear()
        self.about.setText("")
        if folder is not None and not self.work.running:
            self.progress.say("reading the model …")
            self.work.start(lambda _: load(folder, device))
            self._show_state()

    def _take(self, result: Any) -> None:
        """Go on with a model that was read, or with maps."""
        if isinstance(result, Job):
            self.job = result
            self.progress.idle()
            self._show_maps()
            self._decode()
            return
        self.model = result
        self.controls.show_method(result.config.method)
        self.about.setText(described(result))
        self.progress.idle()
        self._show_axes()

    def _keep(self) -> None:
        assert self.model is not None and self.folder.path() is not None
        try:
            changed = self.model.with_options(self.controls.settings())
            changed.save(self.folder.path() or "")
        except Exception as error:
            self.progress.idle(report(error))
            return
        self.model = changed
        self.controls.show_method(changed.config.method)
        self.progress.idle("thresholds saved in the model")

    # -- the net ---------------------------------------------------------------------------------
    def segment(self) -> None:
        """Run the net on the layer; sliders then decode its maps anew."""
        try:
            model, layer, axes = self.model, self.image.layer(), self.axes.currentText()
            if model is None:
                raise UsageError("choose the folder of a model first")
            if layer is None:
                raise UsageError("open an image first; there is no image layer")
            image, place = as_image(layer, axes), placed_like(layer, axes)
        except Exception as error:
            self.progress.idle(report(error))
            return
        tta = self.tta.isChecked()
        self._show_size()
        self.progress.show_share(None)
        self.progress.say("the net is at work …")
        self.work.start(lambda work: Job(layer, place, predict(
            model, image, tta, lambda done, total: work.tell(done / max(total, 1)))))
        self._show_state()

    def _show_progress(self, news: object) -> None:
        if isinstance(news, float):
            self.progress.show_share(news or None)
        elif self.progress.said.text() != STOPPING:
            self.progress.say(str(news))

    def _fail(self, text: str) -> None:
        self.progress.idle(text)

    def _cancel(self) -> None:
        self.work.stop()
        self.progress.say(STOPPING)
        self.cancel.setEnabled(False)

    # -- decoding --------------------------------------------------------------------------------
    def _pause_then_decode(self) -> None:
        self._pause.start()

    def _decode(self, *_: object) -> None:
        """Decode the maps with what the sliders say; of several wishes the last one counts."""
        if self.model is None or self.job is None:
            return
        if self.decoding.running:
            self._again = True
            return
        self._again = False
        model, job, settings = self.model, self.job, self.controls.settings()
        self.decoding.start(lambda _: (job, job.predicted.decode(model.with_options(settings))))

    def _decoded(self) -> None:
        if self._again:
            self._decode()

    def _show_found(self, result: tuple[Job, Found]) -> None:
        job, found = result
        if job is not self.job or self.model is None:
            return
        self.progress.idle(found.words)
        self._show_labels(job, found)
        name, at = f"{job.layer.name} centres", _held(self.viewer, job, "centres")
        if not self.centres.isChecked() or found.centres is None:
            if at is not None:
                self.viewer.layers.remove(at)
        elif at is not None:
            at.data = found.centres
        else:
            self.viewer.add_points(found.centres, name=name, size=_point_size(found.labels),
                                   face_color="yellow", border_color="black",
                                   metadata=_mark(job, "centres"), **job.place)

    def _show_labels(self, job: Job, found: Found) -> None:
        """Show labels in the layer of the last ones, unless a person has changed that since."""
        layer = _held(self.viewer, job, "labels")
        if layer is not None and layer is self.result and _sum(layer.data) == self._sum:
            layer.data = found.labels
            layer.features = found.features or {}
        else:
            if layer is not None:
                layer.metadata = {k: v for k, v in layer.metadata.items() if k != "embedseg part"}
            name = free_name([each.name for each in self.viewer.layers],
                             f"{job.layer.name} labels")
            self.result = self.viewer.add_labels(
                found.labels, name=name, features=found.features, **job.place, **self._colours(),
                metadata=_mark(job, "labels") | {"embedseg model": str(self.folder.path())})
        self._sum = _sum(found.labels)

    def _colours(self) -> dict[str, Any]:
        """Return the colours of classes; objects have napari's."""
        colours = self.model.config.method.colours if self.model else {}
        if not colours:
            return {}
        table: dict[int | None, str] = dict(enumerate(colours.values()))
        return {"colormap": DirectLabelColormap(color_dict=table | {None: "transparent"})}

    def _show_maps(self, *_: object) -> None:
        """Show the maps as layers, or take them away."""
        job = self.job
        for layer in [each for each in self.viewer.layers
                      if each.metadata.get("embedseg part", ("",))[0] == "maps"]:
            self.viewer.layers.remove(layer)
        if job is None or not self.maps.isChecked():
            return
        pictures = job.predicted.pictures()
        for name, picture in pictures.items():
            both = float(picture.min()) < 0
            limit = float(np.abs(picture).max()) or 1.0
            self.viewer.add_image(
                picture, name=f"{job.layer.name} {name}", metadata=_mark(job, "maps"),
                colormap="PuOr" if both else "magma", visible=name == list(pictures)[-1],
                contrast_limits=(-limit, limit) if both else (0, max(limit, 1e-6)),
                **_on_grid_of_maps(job, picture.shape))
        # The labels stay on top.
        if self.result in self.viewer.layers:
            self.viewer.layers.move(self.viewer.layers.index(self.result), -1)


def load(folder: Path, device: str) -> Segmenter:
    """Read a model; torch is imported here, in the thread."""
    from embedseg.model import Segmenter

    return Segmenter.load(folder, device)


def described(model: Segmenter) -> str:
    """Say in a line what a model is."""
    config = model.config
    known = " × ".join(f"{size:.3g}" for size in config.spacing) + " µm"
    channels = f"{config.channels} channel{'s' * (config.channels > 1)}"
    return ", ".join([f"{config.method.type}, {config.net.type}", f"{config.ndim}D", channels,
                      known if config.spacing_known else "pixel size unknown"])


def _mark(job: Job, part: str) -> dict[str, Any]:
    return {"embedseg part": (part, job.layer.name), "embedseg image": job.layer.name}


def _held(viewer: Viewer, job: Job, part: str) -> Any:
    """Return the layer with a part of the results of an image, if it is still there."""
    mark = (part, job.layer.name)
    return next((layer for layer in reversed(viewer.layers)
                 if layer.metadata.get("embedseg part") == mark), None)


def _sum(labels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(labels).data)


def _point_size(labels: NDArray[Any]) -> float:
    return max(2.0, max(labels.shape) / 80)


def _on_grid_of_maps(job: Job, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return where maps belong, which may be on another grid than the image."""
    frame = job.predicted.frames[0]
    space = len(frame.shape)
    factor = np.ones(len(shape))
    factor[-space:] = np.divide(frame.shape, shape[-space:])
    scale = np.asarray(job.place["scale"], float)
    shift = np.asarray(job.place["translate"], float) + (factor - 1) / 2 * scale
    return job.place | {"scale": scale * factor, "translate": shift}

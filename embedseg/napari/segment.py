"""Widget *Segment*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox

from embedseg.napari._decoding import Found, predict
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
from embedseg.napari._layers import as_image, fits, placed_like, possible_axes, spacing_of
from embedseg.napari._results import Job, Results
from embedseg.napari._sliders import Controls
from embedseg.napari._work import Work, report
from embedseg.types import UsageError

if TYPE_CHECKING:
    from napari import Viewer

    from embedseg.segmenter import Segmenter

#: Milliseconds that a slider rests before the maps are decoded anew.
PATIENCE = 150
#: What is said between a click on Cancel and the end.
STOPPING = "stopping …"


class Segment(Page):
    """Segment an image layer with a trained model, and adjust thresholds by eye."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.model: Segmenter | None = None
        self.job: Job | None = None
        self.results = Results(napari_viewer)
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
        add_row(
            form,
            "",
            self.tta,
            "Test-time augmentation: the net sees the image flipped and "
            "turned too, which takes longer and is often better",
        )
        self.go = button("Segment", "Run the model's net on the image", self.segment)
        self.cancel = button("Cancel", "Stop after the part in progress", self._cancel)
        self.progress = Progress()
        self.column.addWidget(in_a_row(self.go, self.cancel))
        self.column.addWidget(self.progress)

    def _build_thresholds(self) -> None:
        self.controls = Controls(self.group("Thresholds"))
        self.controls.changed.connect(self._pause_then_decode)
        self.reset = button("Reset", "Back to the model's own thresholds", self.controls.reset)
        self.keep = button(
            "Save in model", "Write these thresholds into the model's folder", self._keep
        )
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
        self.spacing.setText(
            "unknown: taken to be the model's"
            if spacing is None
            else " × ".join(f"{size:.4g}" for size in spacing) + " µm"
        )

    # -- the model -------------------------------------------------------------------------------
    def _load(self, *_: object) -> None:
        """Read the model in the folder."""
        folder, device = self.folder.path(), self.device.currentText()
        self.model = self.job = None
        self.results.labels = None  # another model's go into a layer of their own
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
        self.work.start(
            lambda work: Job(
                layer,
                place,
                predict(model, image, tta, lambda done, total: work.tell(done / max(total, 1))),
            )
        )
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
        if job is self.job and self.model is not None:
            self.progress.idle(found.words)
            known = {"embedseg model": str(self.folder.path())}
            self.results.show_labels(job, found, self.model.config.method.colours, known)
            self.results.show_centres(job, found if self.centres.isChecked() else None)

    def _show_maps(self, *_: object) -> None:
        self.results.show_maps(self.job if self.maps.isChecked() else None)


def load(folder: Path, device: str) -> Segmenter:
    """Read a model; torch is imported here, in the thread."""
    from embedseg.segmenter import Segmenter

    return Segmenter.load(folder, device)


def described(model: Segmenter) -> str:
    """Say in a line what a model is."""
    config = model.config
    known = " × ".join(f"{size:.3g}" for size in config.spacing) + " µm"
    channels = f"{config.channels} channel{'s' * (config.channels > 1)}"
    return ", ".join(
        [
            f"{config.method.type}, {config.net.type}",
            f"{config.ndim}D",
            channels,
            known if config.spacing_known else "pixel size unknown",
        ]
    )

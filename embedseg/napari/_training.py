"""Training in the viewer: start, stop, resume, curves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QSizePolicy, QVBoxLayout, QWidget

from embedseg.model import ModelFolder
from embedseg.napari._forms import ProgressView, make_button, make_row
from embedseg.napari._models import remember_model
from embedseg.napari._work import Worker, notify_error
from embedseg.types import Spacing, UsageError

if TYPE_CHECKING:
    from napari import Viewer

    from embedseg.model import Config
    from embedseg.segmenter import Segmenter
    from embedseg.training import Row, TrainingProgress, ValidationResult

#: Seconds between two updates of the progress.
UPDATE_SECONDS = 0.3
#: Height of the curves, pixels.
CURVES_HEIGHT = 340
#: Message between a click on Stop and the end.
STOPPING_MESSAGE = "stopping after this step; thresholds are searched, then the best is kept …"


@dataclass(frozen=True)
class TrainingRequest:
    """A training to start.

    Attributes
    ----------
    data, folder : Path
        Data folder, and folder of the model.
    minutes : float
        Length of the training; in total, if it is resumed.
    device : str
    method : str or None
        None: the method of `start`, or the planned one.
    start : Path or None
        Model to fine-tune.
    """

    data: Path
    folder: Path
    minutes: float
    device: str = "auto"
    method: str | None = None
    start: Path | None = None


class TrainingUpdate(NamedTuple):
    """Progress of a training, the spacing of its images, and the name of its main score."""

    progress: TrainingProgress
    spacing: Spacing
    primary: str


class TrainingPanel(QWidget):
    """Buttons, progress, curves and previews of a training; `trained` emits the model's folder."""

    trained = Signal(object)

    def __init__(self, viewer: Viewer, request: Callable[[], TrainingRequest]) -> None:
        super().__init__()
        self.viewer, self.request = viewer, request
        self.worker = Worker(self)
        self.go = make_button("Train", "Start a new training", lambda: self.start(resume=False))
        self.halt = make_button("Stop", "End the training; the best so far is kept", self.stop)
        self.resume = make_button(
            "Resume",
            "Continue the training in the model's folder, up to the time limit",
            lambda: self.start(resume=True),
        )
        self.preview = QCheckBox("show validation images in the viewer")
        self.preview.setChecked(True)
        self.preview.setToolTip(
            "Up to four images with their predicted labels, after each validation"
        )
        self.progress, self.curves = ProgressView(), Curves(viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for each in (
            make_row(self.go, self.halt, self.resume),
            self.progress,
            self.preview,
            self.curves,
        ):
            layout.addWidget(each)
        self.curves.hide()
        self.worker.progressed.connect(self._show_update)
        self.worker.finished.connect(self._show_result)
        self.worker.failed.connect(self.progress.finish)
        self.worker.closed.connect(self._show_closed)
        self.show_state()

    def show_state(self) -> None:
        """Enable the buttons that apply."""
        busy = self.worker.running
        self.go.setEnabled(not busy)
        self.halt.setEnabled(busy)
        try:
            self.resume.setEnabled(not busy and ModelFolder(self.request().folder).exists())
        except UsageError:
            self.resume.setEnabled(False)

    def start(self, resume: bool) -> None:
        """Start or resume a training."""
        try:
            request = self.request()
        except UsageError as error:
            self.progress.finish(notify_error(error))
            return
        self.progress.show_fraction(None)
        self.progress.show_message("reading the data …")
        self.worker.start(lambda worker: run_training(worker, request, resume))
        self.show_state()

    def stop(self) -> None:
        """Ask the training to end."""
        self.worker.stop()
        self.halt.setEnabled(False)
        self.progress.show_message(STOPPING_MESSAGE)

    def _show_update(self, update: object) -> None:
        stopping = self.progress.message.text() == STOPPING_MESSAGE
        if isinstance(update, str):
            if not stopping:
                self.progress.show_message(update)
            return
        assert isinstance(update, TrainingUpdate)
        training = update.progress
        done = training.progress >= 1
        self.progress.show_fraction(None if done else training.progress)
        if not stopping:
            self.progress.show_message(
                "searching thresholds …"
                if done
                else describe_progress(training.step, training.history, update.primary)
            )
        self.curves.show_history(training.history)
        if training.validation is not None and self.preview.isChecked():
            show_validation(self.viewer, training.validation, update.spacing)

    def _show_result(self, result: tuple[Path, str]) -> None:
        folder, summary = result
        remember_model(folder)
        self.progress.finish(f"trained: {summary}; the model is in {folder}")
        self.trained.emit(folder)

    def _show_closed(self) -> None:
        if self.progress.message.text() == STOPPING_MESSAGE:
            self.progress.finish("stopped before the training began")
        self.show_state()


class Curves(QWidget):
    """Loss and validation scores over time, in the viewer's colours."""

    def __init__(self, viewer: Viewer) -> None:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        super().__init__()
        self.viewer = viewer
        self.figure = Figure(layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)
        self.canvas.setMinimumHeight(CURVES_HEIGHT)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.rows = 0

    def show_history(self, rows: tuple[Row, ...]) -> None:
        """Draw a history, if its length has changed."""
        from matplotlib import rc_context

        from embedseg.training import draw_history

        if len(rows) == self.rows:
            return
        self.rows = len(rows)
        self.figure.clear()
        with rc_context(self._style()):
            draw_history(self.figure, rows, below=True)
            for axes in self.figure.axes:
                axes.patch.set_alpha(0)
        self.figure.patch.set_alpha(0)
        self.show()
        self.canvas.draw_idle()

    def _style(self) -> Any:
        """Return matplotlib's settings for the viewer's theme."""
        from napari.utils.theme import get_theme

        text = get_theme(self.viewer.theme).text.as_hex()
        names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        return dict.fromkeys(names, text) | {
            "font.size": 8,
            "legend.fontsize": 7,
            "axes.titlesize": 9,
            "legend.framealpha": 0,
        }


def describe_progress(step: int, history: tuple[Row, ...], primary: str) -> str:
    """Format the step, loss and best score of a training.

    Examples
    --------
    >>> describe_progress(100, ({"total": 1.5, "val_ap_mean": 0.25}, {"total": 1.25}), "ap_mean")
    'step 100, loss 1.25, ap mean 0.250'
    """
    scores = [row[f"val_{primary}"] for row in history if f"val_{primary}" in row]
    loss = [f"loss {history[-1]['total']:.3g}"] if history else []
    score = [f"{primary.replace('_', ' ')} {max(scores):.3f}"] if scores else []
    return ", ".join([f"step {step}", *loss, *score])


# -- in the thread ---------------------------------------------------------------------------------
def run_training(worker: Worker, request: TrainingRequest, resume: bool) -> tuple[Path, str]:
    """Start or resume a training; return the model's folder and a summary."""
    from embedseg.report import write_training_report
    from embedseg.segmenter import Segmenter

    config = _make_config(request, resume)
    worker.raise_if_stopped()
    spacing, primary = config.spacing, config.method.primary
    last = 0.0

    def watch(training: TrainingProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if training.validation or training.progress >= 1 or now - last > UPDATE_SECONDS:
            last = now
            worker.progressed.emit(TrainingUpdate(training, spacing, primary))
        worker.raise_if_stopped()

    model: Segmenter = Segmenter.new(config, request.device).fit(
        request.data,
        time_limit=60 * request.minutes,
        folder=request.folder,
        resume=resume,
        progress=False,
        watch=watch,
    )
    worker.progressed.emit("writing the report …")
    write_training_report(
        request.folder / "report.html", model, request.data, folder=request.folder
    )
    step = int(model.history[-1]["step"]) if model.history else 0
    return request.folder, describe_progress(step, tuple(model.history), primary)


def _make_config(request: TrainingRequest, resume: bool) -> Config:
    from embedseg.common import check_output_folder
    from embedseg.model import plan

    if resume:
        return ModelFolder(request.folder).config()
    check_output_folder(request.folder, False)
    return plan(request.data, method=request.method, start=request.start)


# -- in the viewer ---------------------------------------------------------------------------------
def show_validation(viewer: Viewer, result: ValidationResult, spacing: Spacing) -> None:
    """Show validation images, their truth and predicted labels, stacked along the first axis."""
    shown = {
        "validation images": _stack([sample.image[0] for sample, _ in result.shown]),
        "validation truth": _stack([sample.labels for sample, _ in result.shown]),
        "validation prediction": _stack([labels for _, labels in result.shown]),
    }
    for name, data in shown.items():
        layer = next(
            (each for each in viewer.layers if each.metadata.get("embedseg part") == name), None
        )
        if layer is not None and layer.ndim == data.ndim:
            layer.data, layer.scale = data, (1.0, *spacing)
            continue
        place: dict[str, Any] = {
            "name": name,
            "scale": (1.0, *spacing),
            "metadata": {"embedseg part": name},
            "axis_labels": ("image", *"ZYX"[-len(spacing) :]),
        }
        if name == "validation images":
            viewer.add_image(data, **place)
        else:
            viewer.add_labels(data, visible=name == "validation prediction", **place)


def _stack(images: list[Any]) -> Any:
    """Stack images, padding smaller ones with zeros."""
    shape = np.max([image.shape for image in images], axis=0)
    return np.stack(
        [
            np.pad(np.asarray(image), [(0, n - m) for n, m in zip(shape, image.shape, strict=True)])
            for image in images
        ]
    )

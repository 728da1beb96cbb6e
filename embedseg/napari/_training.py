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

from embedseg.napari._forms import Progress, button, in_a_row
from embedseg.napari._work import Work, report
from embedseg.types import Spacing, UsageError

if TYPE_CHECKING:
    from napari import Viewer

    from embedseg.model import Config
    from embedseg.segmenter import Segmenter
    from embedseg.training import Row, TrainingProgress, ValidationResult

#: Seconds between two looks at how far it is.
EVERY = 0.3
#: Height of the curves, pixels.
HEIGHT = 340
#: What is said between a click on Stop and the end.
STOPPING = "stopping after this step; thresholds are searched, then the best is kept …"


@dataclass(frozen=True)
class Order:
    """What is to be trained.

    Attributes
    ----------
    data, folder : Path
        The data, and where the model goes.
    minutes : float
        Length of the training; it counts on where one is resumed.
    device : str
    method : str or None
        None: that of `start`, or the planned one.
    start : Path or None
        Model to fine-tune.
    """

    data: Path
    folder: Path
    minutes: float
    device: str = "auto"
    method: str | None = None
    start: Path | None = None


class News(NamedTuple):
    """Where a training stands, and in what spacing its images are."""

    standing: TrainingProgress
    spacing: Spacing
    primary: str


class Training(QWidget):
    """Buttons, progress, curves and previews of a training; `trained` brings the model's folder."""

    trained = Signal(object)

    def __init__(self, viewer: Viewer, order: Callable[[], Order]) -> None:
        super().__init__()
        self.viewer, self.order = viewer, order
        self.work = Work(self)
        self.go = button("Train", "Begin a new training", lambda: self.start(resume=False))
        self.halt = button("Stop", "End the training; the best so far is kept", self.stop)
        self.resume = button(
            "Resume",
            "Go on with the training in the model's folder, up to the time limit",
            lambda: self.start(resume=True),
        )
        self.preview = QCheckBox("show validation images in the viewer")
        self.preview.setChecked(True)
        self.preview.setToolTip(
            "Up to four images with what the model finds in them, after each validation"
        )
        self.progress, self.curves = Progress(), Curves(viewer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for each in (
            in_a_row(self.go, self.halt, self.resume),
            self.progress,
            self.preview,
            self.curves,
        ):
            layout.addWidget(each)
        self.curves.hide()
        self.work.told.connect(self._show_news)
        self.work.done.connect(self._show_end)
        self.work.failed.connect(self.progress.idle)
        self.work.ended.connect(self._ended)
        self.show_state()

    def show_state(self) -> None:
        """Let only those buttons be clicked that make sense."""
        busy = self.work.running
        self.go.setEnabled(not busy)
        self.halt.setEnabled(busy)
        try:
            self.resume.setEnabled(not busy and (self.order().folder / "config.json").is_file())
        except UsageError:
            self.resume.setEnabled(False)

    def start(self, resume: bool) -> None:
        """Train, or go on."""
        try:
            order = self.order()
        except UsageError as error:
            self.progress.idle(report(error))
            return
        self.progress.show_share(None)
        self.progress.say("reading the data …")
        self.work.start(lambda work: train(work, order, resume))
        self.show_state()

    def stop(self) -> None:
        """Ask the training to end."""
        self.work.stop()
        self.halt.setEnabled(False)
        self.progress.say(STOPPING)

    def _show_news(self, news: object) -> None:
        stopping = self.progress.said.text() == STOPPING
        if isinstance(news, str):
            if not stopping:
                self.progress.say(news)
            return
        assert isinstance(news, News)
        standing = news.standing
        done = standing.progress >= 1
        self.progress.show_share(None if done else standing.progress)
        if not stopping:
            self.progress.say(
                "searching thresholds …"
                if done
                else in_words(standing.step, standing.history, news.primary)
            )
        self.curves.show_history(standing.history)
        if standing.look is not None and self.preview.isChecked():
            show_look(self.viewer, standing.look, news.spacing)

    def _show_end(self, result: tuple[Path, str]) -> None:
        folder, said = result
        self.progress.idle(f"trained: {said}; the model is in {folder}")
        self.trained.emit(folder)

    def _ended(self) -> None:
        if self.progress.said.text() == STOPPING:
            self.progress.idle("stopped before the training had begun")
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
        self.canvas.setMinimumHeight(HEIGHT)
        self.canvas.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.rows = 0

    def show_history(self, rows: tuple[Row, ...]) -> None:
        """Draw a history, if it is longer or shorter than the last."""
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


def in_words(step: int, history: tuple[Row, ...], primary: str) -> str:
    """Say how far a training is and how good.

    Examples
    --------
    >>> in_words(100, ({"total": 1.5, "val_ap_mean": 0.25}, {"total": 1.25}), "ap_mean")
    'step 100, loss 1.25, ap mean 0.250'
    """
    scores = [row[f"val_{primary}"] for row in history if f"val_{primary}" in row]
    loss = [f"loss {history[-1]['total']:.3g}"] if history else []
    score = [f"{primary.replace('_', ' ')} {max(scores):.3f}"] if scores else []
    return ", ".join([f"step {step}", *loss, *score])


# -- in the thread ---------------------------------------------------------------------------------
def train(work: Work, order: Order, resume: bool) -> tuple[Path, str]:
    """Train as ordered, or go on with what is there; return the model's folder, and words."""
    from embedseg.report import training_report
    from embedseg.segmenter import Segmenter

    config = _config(order, resume)
    work.check()
    spacing, primary = config.spacing, config.method.primary
    last = 0.0

    def watch(standing: TrainingProgress) -> None:
        nonlocal last
        now = time.monotonic()
        if standing.look or standing.progress >= 1 or now - last > EVERY:
            last = now
            work.told.emit(News(standing, spacing, primary))
        work.check()

    model: Segmenter = Segmenter.new(config, order.device).fit(
        order.data,
        time_limit=60 * order.minutes,
        folder=order.folder,
        resume=resume,
        progress=False,
        watch=watch,
    )
    work.told.emit("writing the report …")
    training_report(order.folder / "report.html", model, order.data, folder=order.folder)
    step = int(model.history[-1]["step"]) if model.history else 0
    return order.folder, in_words(step, tuple(model.history), primary)


def _config(order: Order, resume: bool) -> Config:
    from embedseg.common import refuse_used
    from embedseg.model import load_config, plan

    if resume:
        return load_config(order.folder / "config.json")
    refuse_used(order.folder, False)
    return plan(order.data, method=order.method, start=order.start)


# -- in the viewer ---------------------------------------------------------------------------------
def show_look(viewer: Viewer, look: ValidationResult, spacing: Spacing) -> None:
    """Show validation images, their truth and what was found, one image behind the other."""
    shown = {
        "validation images": _stacked([sample.image[0] for sample, _ in look.shown]),
        "validation truth": _stacked([sample.labels for sample, _ in look.shown]),
        "validation found": _stacked([found for _, found in look.shown]),
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
            viewer.add_labels(data, visible=name == "validation found", **place)


def _stacked(images: list[Any]) -> Any:
    """Stack images, smaller ones with an empty margin."""
    shape = np.max([image.shape for image in images], axis=0)
    return np.stack(
        [
            np.pad(np.asarray(image), [(0, n - m) for n, m in zip(shape, image.shape, strict=True)])
            for image in images
        ]
    )

"""The napari plugin in a real viewer without a screen: clicked through, and looked at."""

from __future__ import annotations

import atexit
import doctest
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stores import FORMATS, write_plate, write_series, write_store

from embedseg.data import add_pair
from embedseg.export import EXPORTERS
from embedseg.images import Image, blobs, read_image, read_labels, write_blobs
from embedseg.methods import METHODS, as_method
from embedseg.model import load_config, planning
from embedseg.segmenter import Segmenter
from embedseg.types import DataError, Maps, UsageError

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Not the settings of whoever runs the tests.
_settings = tempfile.TemporaryDirectory()
atexit.register(_settings.cleanup)
os.environ["NAPARI_CONFIG"] = str(Path(_settings.name) / "napari.yaml")
pytest.importorskip("napari", reason="needs napari: pip install '.[napari]'", exc_type=ImportError)
pytest.importorskip("pytestqt", reason="needs pytest-qt")
_probe = subprocess.run(
    [sys.executable, "-c", "from qtpy.QtWidgets import QApplication; QApplication([])"],
    capture_output=True,
    text=True,
    timeout=300,
)
if _probe.returncode:
    pytest.skip(
        "Qt does not load here: " + _probe.stderr.strip()[-200:].split("\n")[-1],
        allow_module_level=True,
    )

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of napari and what it imports
    import napari
    from napari._qt import qt_main_window  # noqa: F401
    from napari.utils.notifications import notification_manager
    from npe2 import PluginManager, PluginManifest
    from pytestqt.exceptions import capture_exceptions
    from pytestqt.qt_compat import qt_api
    from pytestqt.qtbot import QtBot
    from qtpy.QtCore import QSettings, Qt
    from vispy.gloo.gl import GL_EXTENSIONS

    from embedseg.napari import files, samples
    from embedseg.napari._boxes import find_box
    from embedseg.napari._decoding import FrameMaps, PredictedMaps, predict_maps
    from embedseg.napari._models import list_recent_models, read_model, remember_model
    from embedseg.napari._sliders import OptionControl, OptionControls, find_range
    from embedseg.napari.correct import Correct
    from embedseg.napari.segment import Segment
    from embedseg.napari.train import Train

#: Of the colours that napari draws for labels.
pytestmark = pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB:UserWarning")

MANIFEST = Path(importlib.import_module("embedseg.napari").__file__ or "").parent / "napari.yaml"
NAME = "embedseg-nd"
SPACING = (0.5, 0.5)
#: Milliseconds to wait; machines may be busy.
PATIENCE = 120_000


# -- what every test stands on ---------------------------------------------------------------------
@pytest.fixture
def bot(request: pytest.FixtureRequest) -> Iterator[QtBot]:
    """What clicks; an error in a slot fails the test."""
    qt_api.set_qt_api(None)
    with capture_exceptions() as errors:
        yield QtBot(request)
    assert not errors


@pytest.fixture
def viewer(
    bot: QtBot, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A viewer that nobody sees, with the plugin; where nothing is drawn, OpenGL is not needed."""
    monkeypatch.setattr(
        "vispy.gloo.gl.glGetParameter", lambda name: "" if name == GL_EXTENSIONS else 4096
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of napari
        made = napari.Viewer(show=False)
        manager = PluginManager.instance()
        if NAME not in manager:
            manager.register(PluginManifest.from_file(MANIFEST))
    notification_manager.records.clear()
    yield made
    monkeypatch.setattr(made.window._qt_window, "_save_current_window_settings", lambda *_: None)
    made.close()


@pytest.fixture(autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for settings, in place of that of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("settings")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    return folder


class Nets:
    """Counts what nets were applied to; foreground is what is bright, boundaries are nowhere."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def forward(self, net: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        assert self.gate.wait(PATIENCE / 1000)
        bright = 8 * (image[:, :1] - 0.3)
        return torch.cat([bright, torch.full_like(bright, -1.0)], dim=1)


@pytest.fixture
def nets(monkeypatch: pytest.MonkeyPatch) -> Nets:
    """Nets that see at once what is bright, and are counted."""
    found = Nets()
    monkeypatch.setattr("embedseg.nets.unet.UNet.forward", lambda net, x: found.forward(net, x))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_blobs(folder, 2, splits={"train": 4, "val": 2, "test": 1}, n=4)
    return folder


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model of the boundary method that was not trained; see `Nets`."""
    config = planning.plan(data, method="boundary").changed(
        {"net.width": 8, "net.depth": 2, "method.fg_threshold": 0.5}
    )
    folder = tmp_path_factory.mktemp("models") / "model"
    Segmenter.new(config, "cpu").save(folder)
    return folder


def click(bot: QtBot, button: Any) -> None:
    assert button.isEnabled()
    bot.mouseClick(button, Qt.MouseButton.LeftButton)


def errors() -> list[str]:
    return [
        str(record.message) for record in notification_manager.records if record.severity >= "error"
    ]


def open_blobs(viewer: Any, seed: int = 0, **more: Any) -> Any:
    image, _ = blobs((96, 96), 4, seed, spacing=SPACING)
    known: dict[str, Any] = {"name": "cells", "scale": SPACING, "units": ("um", "um")}
    return viewer.add_image(image, **known | more)


def segmenting(bot: QtBot, viewer: Any, folder: Path) -> Segment:
    """Dock the widget and let it read a model."""
    widget = Segment(viewer)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.device.setCurrentText("cpu")
    widget.folder.set_path(folder)
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    return widget


def segmented(bot: QtBot, widget: Segment) -> Any:
    click(bot, widget.go)
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    settle(bot, widget)
    return widget.results.labels


def settle(bot: QtBot, widget: Segment) -> None:
    bot.waitUntil(
        lambda: not (widget._pause.isActive() or widget.decoding.running), timeout=PATIENCE
    )


# -- the manifest ----------------------------------------------------------------------------------
def test_the_manifest_names_what_is_there() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    assert (manifest.name, manifest.display_name) == (NAME, "embedseg")
    manifest.validate_imports()
    written = [
        suffix
        for each in manifest.contributions.writers or []
        for suffix in each.filename_extensions
    ]
    ours = {each.suffix for each in EXPORTERS.values() if not each.tracks}
    assert set(written) == ours | {".tif", ".tiff"}
    (reader,) = manifest.contributions.readers or []
    assert reader.filename_patterns == [f"*{suffix}" for suffix in (*files.SUFFIXES, ".zarr")]
    said = (Path(__file__).parents[2] / "setup.py").read_text()
    assert f'"napari.manifest": ["{NAME} = embedseg.napari:napari.yaml"]' in said


@pytest.mark.parametrize("name", ["_layers", "_models", "_training"])
def test_doctests(name: str) -> None:
    done = doctest.testmod(importlib.import_module(f"embedseg.napari.{name}"))
    assert done.attempted and not done.failed


# -- segment ---------------------------------------------------------------------------------------
def test_sliders_decode_anew_without_the_net(bot, viewer, nets, model) -> None:
    layer = open_blobs(viewer, translate=(3.0, 4.0))
    widget = segmenting(bot, viewer, model)
    method = load_config(model / "config.json").method
    assert list(widget.controls.controls) == list(method.adjustable())
    assert widget.axes.currentText() == "YX" and widget.spacing.text() == "0.5 × 0.5 µm"
    result = segmented(bot, widget)
    assert nets.calls == 1 and not errors()
    found = Segmenter.load(model, "cpu").segment(layer.data, spacing=SPACING)
    np.testing.assert_array_equal(result.data, found)
    assert result.data.max() >= 2 and widget.progress.message.text() == f"{found.max()} objects"
    assert list(result.scale) == list(SPACING) and list(result.translate) == [3.0, 4.0]
    calls = nets.calls
    widget.controls.controls["fg_threshold"].slider.setValue(0.8)
    assert widget._pause.isActive()  # it waits until the slider rests
    settle(bot, widget)
    stricter = Segmenter.load(model, "cpu").with_options({"method.fg_threshold": 0.8})
    assert nets.calls == calls and widget.results.labels is result
    assert 0 < (result.data > 0).sum() < (found > 0).sum()
    np.testing.assert_array_equal(result.data, stricter.segment(layer.data, spacing=SPACING))
    click(bot, widget.reset)
    settle(bot, widget)
    np.testing.assert_array_equal(result.data, found)


def test_centres_and_maps_lie_on_the_image(bot, viewer, nets, model) -> None:
    layer = open_blobs(viewer, scale=(1.0, 0.25))  # not the model's: the net sees another grid
    widget = segmenting(bot, viewer, model)
    result = segmented(bot, widget)
    assert result.data.shape == layer.data.shape
    widget.centres.setChecked(True)
    settle(bot, widget)
    points = viewer.layers["cells centres"]
    assert len(points.data) == result.data.max()
    inside = [result.data[tuple(np.round(point).astype(int))] for point in points.data]
    assert inside == list(range(1, len(inside) + 1))
    assert list(result.features["index"]) == inside and (result.features["score"] <= 1).all()
    widget.maps.setChecked(True)
    maps = viewer.layers["cells foreground"]
    assert maps.data.shape == (192, 48) and viewer.layers["cells boundary"].visible
    for end, sign in ((0, -1), (1, 1)):  # the outer edges of the pixels at the ends
        np.testing.assert_allclose(
            maps.extent.world[end] + sign * maps.scale / 2,
            layer.extent.world[end] + sign * layer.scale / 2,
        )
    widget.maps.setChecked(False)
    widget.centres.setChecked(False)
    settle(bot, widget)
    assert [each.name for each in viewer.layers] == ["cells", "cells labels"]
    assert nets.calls == 1


def test_labels_that_were_edited_stay(bot, viewer, nets, model) -> None:
    open_blobs(viewer)
    widget = segmenting(bot, viewer, model)
    mine = segmented(bot, widget)
    mine.paint((5, 5), 77)
    widget.controls.controls["fg_threshold"].slider.setValue(0.7)
    settle(bot, widget)
    assert mine.data[5, 5] == 77 and widget.results.labels is not mine
    assert [each.name for each in viewer.layers] == ["cells", "cells labels", "cells labels 2"]


def test_labels_of_another_model_go_beside(bot, viewer, nets, model, tmp_path) -> None:
    Segmenter.load(model, "cpu").save(tmp_path / "m")
    open_blobs(viewer)
    widget = segmenting(bot, viewer, model)
    first = segmented(bot, widget)
    assert segmented(bot, widget) is first
    widget.folder.set_path(tmp_path / "m")
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    second = segmented(bot, widget)
    assert second is not first and first in viewer.layers
    assert [Path(each.metadata["embedseg model"]) for each in (first, second)] == [
        model,
        tmp_path / "m",
    ]


def test_maps_are_named_by_their_axes() -> None:
    specs = as_method({"type": "embedding"}).maps(2)
    data = np.arange(5, dtype=np.float16)[:, None, None] * np.ones((5, 3, 4), np.float16)
    maps = Maps(data, specs, (1.0, 1.0))
    frame = FrameMaps((maps,), (3, 4), False)
    pictures = PredictedMaps((frame, frame), True).pictures()
    assert list(pictures) == ["offset Y", "offset X", "bandwidth Y", "bandwidth X", "seed"]
    assert pictures["bandwidth X"].shape == (2, 3, 4) and (pictures["bandwidth X"] == 3).all()


def test_thresholds_go_into_the_model(bot, viewer, nets, model, tmp_path) -> None:
    folder = tmp_path / "m"
    Segmenter.load(model, "cpu").save(folder)
    widget = segmenting(bot, viewer, folder)
    widget.controls.controls["decoder"].choice.setCurrentText("watershed")
    widget.controls.controls["min_object_size"].slider.setValue(9)
    click(bot, widget.keep)
    held = load_config(folder / "config.json").method
    assert (held.decoder, held.min_object_size, held.fg_threshold) == ("watershed", 9, 0.5)
    assert widget.controls.settings() == {}


def test_cancel_ends_without_a_result(bot, viewer, nets, model) -> None:
    open_blobs(viewer)
    widget = segmenting(bot, viewer, model)
    nets.gate.clear()
    click(bot, widget.go)
    bot.waitUntil(lambda: nets.calls == 1, timeout=PATIENCE)
    assert not widget.go.isEnabled()  # and the viewer answers while the net is at work
    click(bot, widget.cancel)
    nets.gate.set()
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    assert widget.progress.message.text() == "stopped" and len(viewer.layers) == 1
    assert segmented(bot, widget).data.max() >= 2


def test_errors_are_said_and_leave_the_widget_usable(bot, viewer, nets, model, tmp_path) -> None:
    widget = segmenting(bot, viewer, tmp_path)
    assert "no model here" in widget.progress.message.text() and len(errors()) == 1
    click(bot, widget.go)
    assert "choose the folder of a model" in errors()[-1]
    widget.folder.set_path(model)
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    click(bot, widget.go)
    assert "there is no image layer" in errors()[-1]
    viewer.add_image(np.full((20, 20), np.nan), name="broken", contrast_limits=(0, 1))
    click(bot, widget.go)
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    assert "every pixel is NaN" in widget.progress.message.text() and len(errors()) == 4
    layer = open_blobs(viewer)
    widget.image.choose(layer)
    assert segmented(bot, widget).data.max() >= 2 and len(errors()) == 4


def test_a_widget_that_is_closed_stops_its_work(bot, viewer, nets, model) -> None:
    open_blobs(viewer)
    widget = segmenting(bot, viewer, model)
    nets.gate.clear()
    click(bot, widget.go)
    bot.waitUntil(lambda: nets.calls == 1, timeout=PATIENCE)
    work = widget.worker
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    bot.waitUntil(work._stopped.is_set, timeout=PATIENCE)
    nets.gate.set()
    bot.waitUntil(lambda: not work.running, timeout=PATIENCE)


def test_classes_have_the_colours_of_the_model(bot, viewer, nets, tmp_path) -> None:
    write_blobs(tmp_path, 2, splits={"train": 1, "val": 1}, n=1)
    config = planning.plan(tmp_path, method="semantic").changed({"net.width": 8, "net.depth": 2})
    Segmenter.new(config, "cpu").save(tmp_path / "m")
    open_blobs(viewer)
    widget = segmenting(bot, viewer, tmp_path / "m")
    assert list(widget.controls.controls) == ["tilt"]
    result = segmented(bot, widget)
    assert set(np.unique(result.data)) == {0, 1} and "%" in widget.progress.message.text()
    colours = list(config.method.colours.values())
    for value, colour in enumerate(colours):
        rgb = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        np.testing.assert_allclose(result.colormap.map(value)[:3], rgb, atol=0.01)
    widget.centres.setChecked(True)
    settle(bot, widget)
    assert len(viewer.layers) == 2  # classes have no centres


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_a_model_of_images_takes_volumes_and_films(axes, nets, model) -> None:
    image = np.stack([blobs((96, 96), 4, spacing=SPACING)[0]] * 3)
    spacing = (4.0, 0.5, 0.5) if axes == "ZYX" else SPACING
    told: list[tuple[int, int]] = []
    segmenter = Segmenter.load(model, "cpu")
    found = predict_maps(
        segmenter, Image(image, axes, spacing), False, lambda *done: told.append(done)
    ).decode(segmenter)
    assert found.labels.shape == image.shape and told[-1][0] == told[-1][1] > 0
    single = segmenter.segment(image[0], spacing=SPACING)
    assert (found.labels[1] > 0).sum() == (single > 0).sum()
    assert found.centres is not None and found.centres.shape[1] == 3
    # Frames are apart; planes are one volume.
    assert len(found.centres) == single.max() * (3 if axes == "TYX" else 1)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gets_its_sliders(name, bot, viewer) -> None:
    from qtpy.QtWidgets import QFormLayout, QWidget

    method, held = as_method({"type": name}), QWidget()
    controls = OptionControls(QFormLayout(held))
    controls.show_method(method)
    moved: list[int] = []
    controls.changed.connect(lambda: moved.append(1))
    assert set(controls.controls) >= set(method.search_space()) and controls.settings() == {}
    fields = type(method).model_fields
    for option, values in method.adjustable().items():
        assert fields[option].description
        for value in values:
            controls.controls[option].set_value(value)
            assert controls.controls[option].value() == value
            type(method).model_validate(method.model_dump() | {option: value})
        if limits := controls.controls[option].slider and find_range(
            fields[option], values, getattr(method, option)
        ):
            for end in limits[:2]:
                type(method).model_validate(method.model_dump() | {option: end})
        controls.controls[option].set_value(getattr(method, option))
    assert not moved and controls.settings() == {}
    held.deleteLater()


def test_an_option_may_be_switched_off(bot, viewer) -> None:
    method = as_method({"type": "embedding"})
    control = OptionControl(type(method).model_fields["refine"], (None, 0.6, 0.3), 0.4)
    assert control.value() == 0.4
    control.switch.click()
    assert control.value() is None and not control.slider.isEnabled()
    control.switch.click()
    assert control.value() == 0.4
    control.deleteLater()


# -- models ----------------------------------------------------------------------------------------
def test_the_folder_of_a_model_opens_the_widget(bot, viewer, nets, model, tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of napari
        assert viewer.open(str(model), plugin=NAME) == []
        _, widget = viewer.window.add_plugin_dock_widget(NAME, "Segment")  # the one that is there
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    assert widget.folder.path() == model and widget.model.config.method.type == "boundary"
    assert not errors() and not len(viewer.layers)
    other = tmp_path / "other"
    Segmenter.load(model, "cpu").save(other)
    nets.gate.clear()
    open_blobs(viewer)
    click(bot, widget.go)
    bot.waitUntil(lambda: nets.calls == 1, timeout=PATIENCE)
    with pytest.raises(UsageError, match="is at work"):
        read_model(str(other))
    nets.gate.set()
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    settle(bot, widget)
    assert widget.folder.path() == model


def test_folders_that_are_no_models_are_left_to_others(model, tmp_path, caplog) -> None:
    config = (model / "config.json").read_text()
    for number, text in enumerate(["", "[]", "\0", '{"method": 1}', "{" * 10**5, config]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(text)
        assert files.get_reader(str(folder)) is None  # the last has no weights
    (tmp_path / "config.json").mkdir()
    for path in (tmp_path, tmp_path / "missing", "\0", model / "config.json"):
        assert files.get_reader(str(path)) is None
    assert files.get_reader(str(model)) is not None
    assert not caplog.records


def test_recent_models_are_offered(bot, viewer, nets, model, tmp_path) -> None:
    saved = Segmenter.load(model, "cpu")
    folders = [tmp_path / f"a & {number}" for number in range(12)]
    assert list_recent_models() == []
    for folder in folders:
        saved.save(folder)
        remember_model(folder)
    remember_model(folders[5])
    latest = [folders[5], *(each for each in folders[:1:-1] if each != folders[5])][:10]
    assert list_recent_models() == latest
    shutil.rmtree(folders[11])
    widget = segmenting(bot, viewer, model)
    for edit in (widget.folder, Train(viewer).start):
        edit.menu.aboutToShow.emit()
        offered = [action.toolTip() for action in edit.menu.actions()]
        assert offered == [str(path) for path in (model, latest[0], *latest[2:])]
    assert "&&" in widget.folder.menu.actions()[1].text()
    widget.folder.menu.actions()[1].trigger()
    bot.waitUntil(lambda: not widget.worker.running, timeout=PATIENCE)
    assert widget.model is not None and widget.folder.path() == folders[5]
    assert list_recent_models()[:2] == [folders[5], model]


def test_settings_that_are_broken_hold_no_models(settings) -> None:
    (settings / "embedseg").mkdir()
    for held in ("{", "3", '[1, "relative"]', "@Invalid()"):
        (settings / "embedseg/napari.ini").write_text(f"[General]\nrecent_models={held}\n")
        assert list_recent_models() == []


# -- a part of an image ----------------------------------------------------------------------------
def rectangle(top: float, left: float, bottom: float, right: float) -> Any:
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]])


def test_a_box_limits_what_is_segmented(bot, viewer, nets, model) -> None:
    layer = open_blobs(viewer, translate=(3.0, 4.0))
    widget = segmenting(bot, viewer, model)
    whole = segmented(bot, widget)
    assert widget.part.currentText() == "whole image"
    # Another grid, as of a layer that is added by napari: corners are where they are in the world.
    corners = rectangle(2.4, 9.6, 50.4, 70.4)
    drawn = viewer.add_shapes(
        [corners * 0.5 + [3.0, 4.0]], name="box", units=("um", "um"), shape_type="rectangle"
    )
    widget.part.choose(drawn)
    part = segmented(bot, widget)
    box = slice(3, 51), slice(10, 71)  # the pixels that are centred in it
    assert part is not whole and whole in viewer.layers and part.data.shape == (48, 61)
    assert list(part.scale) == list(SPACING) and list(part.translate) == [4.5, 9.0]
    found = Segmenter.load(model, "cpu").segment(layer.data[box], spacing=SPACING)
    np.testing.assert_array_equal(part.data, found)
    assert np.unique(part.data).tolist() == list(range(found.max() + 1)) and found.max()
    widget.centres.setChecked(True)
    widget.maps.setChecked(True)
    settle(bot, widget)
    for name in ("cells centres", "cells foreground"):
        assert list(viewer.layers[name].translate) == [4.5, 9.0]
    # Corrected, they are data with the same part of the image.
    correct = Correct(viewer)
    correct.labels.choose(part)
    image, labels = correct._images()
    np.testing.assert_array_equal(image.data, layer.data[box])
    np.testing.assert_array_equal(labels.data, found)
    widget.part.setCurrentIndex(0)
    assert segmented(bot, widget).data.shape == layer.data.shape
    correct.deleteLater()


def test_boxes_that_cannot_be_used_are_refused(bot, viewer, nets, model) -> None:
    open_blobs(viewer)
    drawn = viewer.add_shapes(name="box", ndim=2, scale=SPACING)
    widget = segmenting(bot, viewer, model)
    widget.part.choose(drawn)
    click(bot, widget.go)
    assert "box: holds no rectangle" in errors()[-1]
    drawn.add_rectangles(rectangle(10, 200, 40, 300))
    click(bot, widget.go)
    assert "outside of cells: it spans X 200 to 300, expected some of 0 to 95" in errors()[-1]
    drawn.add_rectangles(rectangle(10, 10, 40, 13.5))
    click(bot, widget.go)
    assert "holds 2 rectangles; select the one" in errors()[-1]
    drawn.selected_data = {1}
    click(bot, widget.go)
    assert "too small: along X it holds 4 pixels of cells, expected 8 or more" in errors()[-1]
    assert nets.calls == 0 and len(viewer.layers) == 2
    drawn.add_rectangles(rectangle(-30, 10, 40, 60))
    drawn.selected_data = {2}
    assert segmented(bot, widget).data.shape == (41, 51) and len(errors()) == 4


def test_boxes_of_volumes_name_their_planes() -> None:
    from napari.layers import Image as ImageLayer, Shapes

    image = ImageLayer(np.zeros((9, 40, 50)), scale=(2.0, 0.5, 0.5), units=("um",) * 3)
    flat = rectangle(4, 5, 19, 24)

    def drawn(*planes: int) -> Any:
        corners = [np.insert(flat, 0, plane, axis=1) for plane in planes]
        shapes = Shapes(corners, scale=(2000.0, 500.0, 500.0), units=("nm",) * 3)
        shapes.selected_data = set(range(len(planes)))
        return shapes

    sides = slice(4, 20), slice(5, 25)
    assert find_box(drawn(3), image, "ZYX") == (slice(0, 9), *sides)
    assert find_box(drawn(3, 6), image, "ZYX") == (slice(3, 7), *sides)
    assert find_box(drawn(3, 6), image, "CYX") == (slice(0, 9), *sides)
    plane = Shapes([flat], scale=(0.5, 0.5), units=("um",) * 2)
    assert find_box(plane, image, "ZYX") == (slice(0, 9), *sides)
    upright = Shapes([np.insert(rectangle(2, 5, 5, 24), 1, 7, axis=1)], scale=(2.0, 0.5, 0.5))
    assert find_box(upright, image, "ZYX") == (slice(2, 6), slice(0, 40), slice(5, 25))
    colours = ImageLayer(np.zeros((40, 50, 3)), rgb=True, scale=(0.5, 0.5))
    assert find_box(plane, colours, "YXC") == (*sides, slice(0, 3))


# -- train, correct and retrain --------------------------------------------------------------------
@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are of nets that learn in a moment."""
    plan = planning.plan
    # In the package, from which the plugin takes it: there the name of the file is kept.
    monkeypatch.setattr(
        "embedseg.model.plan",
        lambda *args, **more: plan(*args, **more).changed(
            {
                "net.width": 8,
                "net.depth": 2,
                "train.batch": 2,
                "train.crop": "32,32",
                "train.steps_per_epoch": 2,
                "train.precision": "32-true",
            }
        ),
    )


def test_a_training_is_watched_stopped_and_resumed(bot, viewer, tiny, data, tmp_path) -> None:
    widget = Train(viewer)
    viewer.window.add_dock_widget(widget, name="Train")
    training, folder = widget.training, tmp_path / "m"
    click(bot, training.go)
    assert "choose a data folder" in errors()[-1]
    widget.data.set_path(tmp_path / "nothing")
    widget.folder.set_path(folder)
    click(bot, training.go)
    bot.waitUntil(lambda: not training.worker.running, timeout=PATIENCE)
    assert "no such folder" in training.progress.message.text() and not folder.exists()
    widget.data.set_path(data)
    widget.device.setCurrentText("cpu")
    widget.minutes.setValue(60)
    assert not training.resume.isEnabled()
    click(bot, training.go)
    # What is logged after a step shows for a moment in the place of the step.
    bot.waitUntil(
        lambda: training.curves.rows >= 2 and training.progress.message.text().startswith("step "),
        timeout=PATIENCE,
    )
    assert load_config(folder / "config.json").train.steps_per_epoch == 2
    assert training.halt.isEnabled() and not training.go.isEnabled()
    click(bot, training.halt)
    bot.waitUntil(lambda: not training.worker.running, timeout=PATIENCE)
    assert training.progress.message.text().endswith(f"the model is in {folder}")
    assert (folder / "report.html").is_file()
    stopped = Segmenter.load(folder, "cpu").history
    assert len(training.curves.figure.axes) == 2
    shown = viewer.layers["validation images"], viewer.layers["validation prediction"]
    assert [layer.data.shape for layer in shown] == [(2, 96, 96)] * 2
    assert list(shown[0].scale) == [1.0, *SPACING]
    click(bot, training.resume)
    bot.waitUntil(lambda: training.curves.rows > len(stopped), timeout=PATIENCE)
    click(bot, training.halt)
    bot.waitUntil(lambda: not training.worker.running, timeout=PATIENCE)
    resumed = Segmenter.load(folder, "cpu").history
    assert resumed[: len(stopped) - 1] == stopped[:-1] and len(resumed) > len(stopped)
    click(bot, training.go)
    bot.waitUntil(lambda: not training.worker.running, timeout=PATIENCE)
    assert "exists and is not empty" in errors()[-1]


def test_corrected_labels_become_data(bot, viewer, tiny, model, tmp_path) -> None:
    layer = open_blobs(viewer)
    labels = viewer.add_labels(
        np.zeros((96, 96), np.int32),
        name="mine",
        scale=SPACING,
        metadata={"embedseg image": "cells", "embedseg model": str(model)},
    )
    viewer.add_image(np.zeros((9, 9)), name="other")
    widget = Correct(viewer)
    viewer.window.add_dock_widget(widget, name="Correct")
    assert widget.image.layer() is layer and widget.start.path() == model
    assert widget.folder.path() == model.with_name("model-2")
    labels.paint((40, 50), 3)
    click(bot, widget.add)
    assert "choose a data folder" in errors()[-1]
    folder = tmp_path / "data"
    widget.data.set_path(folder)
    click(bot, widget.add)
    image, mask = (
        read_image(folder / "train/images/cells.tif"),
        read_labels(folder / "train/masks/cells.tif"),
    )
    np.testing.assert_array_equal(image.data, layer.data)
    np.testing.assert_array_equal(mask.data, labels.data)
    assert image.spacing == mask.spacing == SPACING and (mask.data == 3).any()
    assert widget.message.text() == "cells.tif added to train, now 1 image"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}
    click(bot, widget.add)
    assert "cells.tif: exists; choose another name" in errors()[-1]
    widget.image.choose(viewer.layers["other"])
    click(bot, widget.add)
    assert "differs from the image's (9, 9)" in errors()[-1]
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}


@pytest.mark.slow
def test_a_model_is_retrained_on_corrections(bot, viewer, tiny, model, data, tmp_path) -> None:
    start = Segmenter.load(model, "cpu")
    widget = Correct(viewer)
    widget.data.set_path(data)
    widget.start.set_path(model)
    widget.folder.set_path(tmp_path / "better")
    widget.minutes.setValue(0.1)
    click(bot, widget.training.go)
    bot.waitUntil(lambda: not widget.training.worker.running, timeout=PATIENCE)
    better = Segmenter.load(tmp_path / "better", "cpu")
    assert not errors() and better.config.method.type == start.config.method.type == "boundary"
    assert better.config.train.start == str(model.resolve())
    widget.deleteLater()


def test_what_is_added_to_data_folders(tmp_path) -> None:
    image, labels = blobs((20, 24), 2)
    rgb = np.stack([image, 2 * image, 3 * image]).astype(np.float64)
    mask = Image(labels, "YX")
    add_pair(tmp_path, "val", "a", Image(rgb, "CYX", SPACING), mask)
    held = read_image(tmp_path / "val/images/a.tif")
    assert (held.axes, held.spacing) == ("CYX", SPACING)
    np.testing.assert_allclose(held.data, rgb, rtol=1e-6)
    volume = Image(np.stack([rgb, rgb], 1).astype(np.int64), "CZYX", (2.0, 0.5, 0.5))
    add_pair(tmp_path, "train", "v", volume, Image(np.stack([labels] * 2), "ZYX"))
    held = read_image(tmp_path / "train/images/v.tif")
    np.testing.assert_array_equal(held.data, volume.data)
    assert held.axes == "CZYX"
    with pytest.raises(UsageError, match="is not a valid name of a file"):
        add_pair(tmp_path, "val", "../b", Image(image, "YX"), mask)
    (tmp_path / "val/masks/a.tif").rename(tmp_path / "val/masks/mask_a.tif")
    with pytest.raises(UsageError, match="do not have equal names"):
        add_pair(tmp_path, "val", "b", Image(image, "YX"), mask)
    assert len(list((tmp_path / "val").rglob("*.*"))) == 2


# -- files and samples -----------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".zip", ".geojson", ".json", ".zarr", ".tif"])
def test_labels_go_to_files_and_come_back(suffix, bot, viewer, tmp_path) -> None:
    image, labels = blobs((60, 70), 6, seed=2)
    place = {"scale": (0.5, 0.25), "units": ("um", "um"), "axis_labels": ("Y", "X")}
    viewer.add_image(image, name="cells", **place)
    layer = viewer.add_labels(labels, name="mine", **place)
    path = tmp_path / f"mine{suffix}"
    assert layer.save(str(path), plugin=NAME) == [str(path)]
    viewer.layers.remove(layer)
    (back,) = viewer.open(
        path, plugin=NAME, **({"layer_type": "labels"} if suffix == ".tif" else {})
    )
    np.testing.assert_array_equal(np.asarray(back.data), labels)
    assert type(back).__name__ == "Labels" and list(back.scale) == [0.5, 0.25]


def test_outlines_need_an_open_image(bot, viewer, tmp_path) -> None:
    labels = blobs((60, 70), 3)[1]
    files.write(str(tmp_path / "a.zip"), labels, {"name": "a"})
    with pytest.raises(UsageError, match="open its image first"):
        files.read(str(tmp_path / "a.zip"))
    table = {"index": np.arange(1, 4), "score": np.array([0.5, 0.25, np.nan])}
    files.write(str(tmp_path / "a.csv"), labels, {"name": "a", "features": table})
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert len(rows) == 1 + labels.max() and "0.25" in rows[2]
    (tmp_path / "b.json").write_text('{"answer": 42}')
    assert files.get_reader(str(tmp_path / "b.json")) is None
    assert files.get_reader(str(tmp_path)) is None
    assert files.get_reader([str(tmp_path / "a.zip")]) is None


def test_images_come_with_axes_and_pixel_size(data, tmp_path) -> None:
    import h5py

    ((image, known, kind),) = files.read(str(data / "test/images/test0.tif"))
    assert (kind, known["scale"], known["units"]) == ("image", [0.5, 0.5], ["um", "um"])
    ((labels, _, kind),) = files.read(str(data / "test/masks/test0.tif"))
    assert kind == "labels" and labels.dtype == np.int32
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in (("raw", image), ("label", labels)):
            file[name] = values
            file[name].attrs["element_size_um"] = SPACING
    assert [kind for _, _, kind in files.read(str(tmp_path / "a.h5"))] == ["image", "labels"]


def test_layers_are_named_by_the_channels(bot, viewer, tmp_path) -> None:
    import tifffile
    import zarr

    both = np.stack([blobs((40, 50), 3, seed=1)[0]] * 2)
    names = ["DAPI", "GFP"]
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        both,
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": names}},
    )
    group = zarr.open_group(tmp_path / "b.zarr", mode="w")
    group.create_array("0", data=both)
    group.attrs["ome"] = {
        "version": "0.5",
        "omero": {"channels": [{"label": name} for name in names]},
        "multiscales": [
            {
                "axes": [
                    {"name": "c", "type": "channel"},
                    *({"name": name, "type": "space"} for name in "yx"),
                ],
                "datasets": [
                    {
                        "path": "0",
                        "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}],
                    }
                ],
            }
        ],
    }
    for name in ("a.ome.tif", "b.zarr"):
        viewer.open(str(tmp_path / name), plugin=NAME)
        stem = name.split(".")[0]
        shown = [layer for layer in viewer.layers if layer.name.startswith(stem)]
        assert [layer.name for layer in shown] == [f"{stem} DAPI", f"{stem} GFP"]
        np.testing.assert_array_equal(shown[1].data, both[1])


@pytest.mark.parametrize(("name", "ndim"), [("nuclei", 2), ("ovules", 3), ("neurites", 3)])
def test_samples_come_with_their_masks(name, ndim) -> None:
    (image, known, kind), (labels, _, other) = getattr(samples, name)()
    assert (kind, other, image.ndim) == ("image", "labels", ndim)
    assert image.shape == labels.shape and labels.max() > 5 and len(known["scale"]) == ndim


def test_widgets_and_samples_open_from_the_menus(bot, viewer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of napari
        viewer.open_sample(NAME, "ovules")
        docked = [
            viewer.window.add_plugin_dock_widget(NAME, title)[1]
            for title in ("Segment", "Train", "Correct and retrain")
        ]
    assert [type(each) for each in docked] == [Segment, Train, Correct]
    assert docked[0].image.layer().name == "ovules" and "µm" in docked[0].spacing.text()
    assert [layer.name for layer in viewer.layers] == ["ovules", "ovules truth"]


@pytest.mark.parametrize("unit", ["nanometer", None])
def test_stores_are_shown_where_their_metadata_place_them(tmp_path: Path, unit: str | None) -> None:
    pixels = np.arange(20 * 30, dtype=np.uint16).reshape(1, 1, 1, 20, 30)
    place: dict[str, Any] = {
        "scale": {"Y": 500.0, "X": 250.0},
        "translation": {"Y": 1000.0},
        "unit": unit,
    }
    image = write_store(tmp_path / "a.zarr", pixels, **place)
    write_store(image / "labels/cells", pixels, **place)
    (((data, _), shown, kind),) = files.read(str(image))
    assert data.shape == (20, 30) and kind == "image"
    steps = [0.5, 0.25] if unit else [1.0, 1.0]
    assert (shown["scale"], shown["translate"]) == (steps, [2 * steps[0], 0.0])
    ((_, labels, kind),) = files.read(str(image / "labels/cells"))
    assert kind == "labels" and labels["translate"] == shown["translate"]
    assert labels["scale"] == shown["scale"]
    if unit:
        files.write(str(tmp_path / "b.zarr"), data.compute().astype(np.int32), shown)
        ((_, again, _),) = files.read(str(tmp_path / "b.zarr"))
        assert (again["scale"], again["translate"]) == (shown["scale"], shown["translate"])


# -- stores ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("space", ["YX", "ZYX"])
def test_stores_come_with_their_labels(space, version, bot, viewer, tmp_path) -> None:
    import dask.array
    import zarr

    shape = (5, 64, 96)[-len(space) :]
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    more: dict[str, Any] = {"version": version, "scale": dict.fromkeys("YX", 0.5) | {"Z": 2.0}}
    path = write_store(tmp_path / "a.zarr", np.stack([pixels, pixels]), f"C{space}", **more)
    place = {**more, "translation": {"Y": 3.0}}
    write_store(path / "labels/cells", pixels, space, levels=1, **place)
    write_store(path / "labels/nuclei", pixels[None, None] + 1, f"TC{space}", **more)
    write_store(path / "labels/broken", pixels.astype(float), space, **more)
    listed = {"labels": ["cells", "nuclei", "broken", "missing"]}
    group = zarr.open_group(path / "labels", mode="a", zarr_format=FORMATS[version])
    group.attrs.update({"ome": {"version": version, **listed}} if version == "0.5" else listed)
    viewer.open(str(path), plugin=NAME)
    assert [each.name for each in viewer.layers] == ["a 0", "a 1", "a cells", "a nuclei"]
    kinds = [type(each).__name__ for each in viewer.layers]
    assert kinds == ["Image", "Image", "Labels", "Labels"]
    image, _, cells, nuclei = viewer.layers
    steps = [2.0, 0.5, 0.5][-len(space) :]
    assert [list(each.scale) for each in viewer.layers] == [steps] * 4
    assert list(cells.translate) == [0.0, 3.0, 0.0][-len(space) :] and not any(nuclei.translate)
    assert [each.multiscale for each in viewer.layers] == [True, True, False, True]
    assert [level.shape for level in nuclei.data] == [shape, (*shape[:-2], 32, 48)]
    for each, known in ((image.data[1], 2), (nuclei.data[0], 3), (cells.data, 3)):
        assert isinstance(each, dask.array.Array), known
    np.testing.assert_array_equal(cells.data, pixels)
    np.testing.assert_array_equal(nuclei.data[0], pixels + 1)
    said = [str(each.message) for each in notification_manager.records]
    assert len(said) == 2 and "broken: labels of type float64, expected integers" in said[0]
    assert "missing: no such file or folder" in said[1]
    correct = Correct(viewer)
    correct.labels.choose(cells)
    assert correct.image.layer() is image
    correct.deleteLater()
    (alone,) = viewer.open(str(path / "labels/nuclei"), plugin=NAME)
    assert alone.editable and not nuclei.editable
    assert nuclei.save(str(tmp_path / "n.tif"), plugin=NAME)
    np.testing.assert_array_equal(read_labels(tmp_path / "n.tif").data, pixels + 1)


def test_stores_of_series_and_without_labels_or_levels(tmp_path) -> None:
    import zarr

    pixels = np.arange(20 * 30, dtype=np.uint16).reshape(1, 1, 1, 20, 30)
    path = write_series(tmp_path / "a.zarr", [pixels])
    assert [kind for *_, kind in files.read(str(path))] == ["image"]
    write_store(path / "0/labels/cells", pixels)
    zarr.open_group(path / "0/labels", mode="a", zarr_format=2).attrs["labels"] = ["cells"]
    (levels, shown, _), (labels, known, kind) = files.read(str(path))
    assert [each.shape for each in levels] == [each.shape for each in labels]
    assert (kind, known["name"]) == ("labels", "a cells") and shown["name"] == "a"
    # A level that is gone is not shown; the image is.
    shutil.rmtree(path / "0/1")
    assert files.read(str(path))[0][0].shape == (20, 30)
    plate = write_plate(tmp_path / "p.zarr", {"A/1/0": pixels[0, 0, 0], "A/1/1": pixels[0, 0, 0]})
    with pytest.raises(DataError, match="a plate or well of 2 fields, expected one image"):
        files.read(str(plate))
    with pytest.raises(DataError, match="expected a path inside"):
        zarr.open_group(path / "0/labels", mode="a").attrs["labels"] = ["../../.."]
        files.read(str(path))

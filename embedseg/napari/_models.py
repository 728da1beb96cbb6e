"""Models: recently used ones, a field for one, loaded, opened in the viewer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QMenu, QToolButton

from embedseg.common import plural
from embedseg.model import ModelFolder
from embedseg.napari._forms import FolderEdit
from embedseg.types import UsageError

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

#: Most models that are remembered, and the entry of the settings that holds their folders.
MOST, ENTRY = 10, "recent_models"
#: Name of the plugin, and of its widget that applies models, as in `napari.yaml`.
PLUGIN, WIDGET = "embedseg-nd", "Segment"
#: Most characters of a folder in the menu.
LONGEST = 60


# -- recent models ---------------------------------------------------------------------------------
def list_recent_models() -> list[Path]:
    """Return the folders of the models used last, the latest first; those that are gone left out.

    They are kept in the user's settings, which Qt shares among processes.
    """
    return [path for path in _read() if ModelFolder(path).usable()]


def remember_model(folder: Path) -> None:
    """Put a model first in the list of recent ones."""
    latest = folder.expanduser().absolute()
    others = [path for path in list_recent_models() if path != latest]
    held = [str(path) for path in [latest, *others][:MOST]]
    # Text, as Qt reads back a list of one entry as no list.
    _settings().setValue(ENTRY, json.dumps(held))


def _read() -> list[Path]:
    try:
        held = json.loads(str(_settings().value(ENTRY, "[]")))
    except ValueError:
        return []
    return [Path(each) for each in held if isinstance(each, str)] if isinstance(held, list) else []


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "embedseg", "napari")


class ModelEdit(FolderEdit):
    """The folder of a model: typed, browsed for, or chosen from the recent ones."""

    def __init__(self, hint: str = "") -> None:
        super().__init__(hint)
        self.recent = QToolButton()
        self.recent.setText("▾")
        self.recent.setToolTip("recent models")
        self.recent.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        # Else Qt draws another arrow beside the text.
        self.recent.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._fill)
        self.recent.setMenu(self.menu)
        self.layout().addWidget(self.recent)

    def _fill(self) -> None:
        self.menu.clear()
        for path in list_recent_models():
            action = self.menu.addAction(shorten_path(path).replace("&", "&&"))
            action.setToolTip(str(path))
            action.triggered.connect(lambda _=False, path=path: self.set_path(path))
        if self.menu.isEmpty():
            self.menu.addAction("no recent models").setEnabled(False)


def shorten_path(path: Path) -> str:
    """Return a path as text for a menu, without its first folders if it is long.

    Examples
    --------
    >>> shorten_path(Path("models/nuclei")) == str(Path("models/nuclei"))
    True
    >>> shorten_path(Path("a" * 60) / "b" / "nuclei") == "…" + str(Path("/b/nuclei"))
    True
    """
    text, parts = str(path), path.parts
    while len(text) > LONGEST and len(parts) > 1:
        parts = parts[1:]
        text = "…" + str(Path("/", *parts))
    return text


# -- a model opened --------------------------------------------------------------------------------
def load_model(folder: Path, device: str) -> Segmenter:
    """Load a model; torch is imported here, in the thread."""
    from embedseg.segmenter import Segmenter

    return Segmenter.load(folder, device)


def describe_model(model: Segmenter) -> str:
    """Describe a model in one line."""
    config = model.config
    spacing = " × ".join(f"{size:.3g}" for size in config.spacing) + " µm"
    channels = plural(config.channels, "channel")
    return ", ".join(
        [
            f"{config.method.type}, {config.net.type}",
            f"{config.ndim}D",
            channels,
            spacing if config.spacing_known else "pixel size unknown",
        ]
    )


def read_model(path: str | Sequence[str]) -> list[Any]:
    """Show the widget *Segment* in the current viewer, with a model chosen.

    Returns
    -------
    list
        What tells napari that there are no layers.

    Raises
    ------
    UsageError
        If there is no viewer, or the widget is at work.
    """
    viewer = napari.current_viewer()
    if viewer is None:
        raise UsageError(f"{path}: a model is opened in a viewer, and none is open")
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    if widget.worker.running:
        raise UsageError(f"{path}: the widget {WIDGET} is at work; open the model when it is done")
    widget.folder.set_path(Path(str(path)))
    dock.show()
    dock.raise_()
    return [(None,)]

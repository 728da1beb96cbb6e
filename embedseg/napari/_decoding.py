"""Maps kept for decoding with other thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.data import frames
from embedseg.images import Image
from embedseg.labels import link_slices
from embedseg.types import Maps

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

#: Told how many of how many parts are done.
Tell = Callable[[int, int], object]


@dataclass(frozen=True)
class Frame:
    """The maps of an image, or of one frame of a film.

    Attributes
    ----------
    maps : tuple of Maps
        One; or, where planes have to be linked, one for each plane.
    shape : tuple of int
        Of the image.
    linked : bool
        Whether these are planes to be linked.
    """

    maps: tuple[Maps, ...]
    shape: tuple[int, ...]
    linked: bool

    def labels(self, model: Segmenter) -> tuple[NDArray[np.int32], Mapping[str, Any] | None]:
        """Decode; return the labels on the image's grid and the table of objects, if there is."""
        shape = self.shape[1:] if self.linked else self.shape
        found = [model.on_grid(maps, shape) for maps in self.maps]
        if self.linked:
            return link_slices(np.stack([each.labels for each in found])), None
        return found[0].labels, found[0].objects

    def centres(self, objects: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the centres of objects as positions on the image's grid, (n, ndim)."""
        maps = self.maps[0]
        factor = np.divide(self.shape, maps.shape)
        # Pixels are boxes: corners stay where they are.
        return np.asarray((objects["centre"] / np.array(maps.spacing) + 0.5) * factor - 0.5)


@dataclass(frozen=True)
class Found:
    """What maps lead to.

    Attributes
    ----------
    labels : (T?, *space) int32 ndarray
    centres : (n, axes of labels) ndarray or None
        Positions of the objects' centres; None where there is no table of objects.
    features : dict or None
        Columns for the labels layer: `index`, and what is known of each object.
    words : str
        What was found.
    """

    labels: NDArray[np.int32]
    centres: NDArray[np.float64] | None
    features: dict[str, NDArray[Any]] | None
    words: str


@dataclass(frozen=True)
class Predicted:
    """The maps of an image or a film.

    Attributes
    ----------
    frames : tuple of Frame
    film : bool
        Whether there is a time axis.
    """

    frames: tuple[Frame, ...]
    film: bool

    def decode(self, model: Segmenter) -> Found:
        """Return what the maps lead to with a model's decode options."""
        found = [frame.labels(model) for frame in self.frames]
        labels = [each for each, _ in found]
        words = model.config.method.found(labels)
        tables = [objects for _, objects in found if objects is not None]
        if len(tables) < len(found):
            return Found(self._joined(labels), None, None, words)
        centres = [frame.centres(table) for frame, table in zip(self.frames, tables, strict=True)]
        if self.film:
            centres = [np.insert(each, 0, time, axis=1) for time, each in enumerate(centres)]
        features = None if self.film else _features(tables[0])
        return Found(self._joined(labels), np.concatenate(centres), features, words)

    def _joined(self, labels: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        return np.stack(labels) if self.film else labels[0]

    def pictures(self) -> dict[str, NDArray[np.float32]]:
        """Return each channel of the activated maps by its name, (T?, *space of the maps)."""
        maps = self.frames[0].maps[0]
        pictures = {}
        for spec in maps.specs:
            for channel in range(spec.channels):
                axis = "" if spec.kind == "scalar" else " " + "ZYX"[channel - spec.channels]
                number = f" {channel}" if spec.kind == "scalar" and spec.channels > 1 else ""
                pictures[spec.name + axis + number] = self._channel(spec.name, channel)
        return pictures

    def _channel(self, name: str, channel: int) -> NDArray[np.float32]:
        shown = [[maps[name][channel] for maps in frame.maps] for frame in self.frames]
        whole = [
            np.stack(each) if frame.linked else each[0]
            for each, frame in zip(shown, self.frames, strict=True)
        ]
        return np.stack(whole) if self.film else whole[0]


def _features(table: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the table of objects as columns of a labels layer; label 0 is the background."""
    count = len(table["size"])
    return {
        "index": np.arange(1, count + 1),
        "score": np.round(table["score"], 3),
        "size": np.asarray(table["size"]),
    }


def predict(model: Segmenter, image: Image, tta: bool, tell: Tell) -> Predicted:
    """Apply a model's net to an image or to each frame of a film.

    A 2D model is applied to a volume plane by plane.

    Parameters
    ----------
    model : Segmenter
    image : Image
        Axes in the order (T, C, Z, Y, X).
    tta : bool
        Average over the symmetries of the grid.
    tell : callable
        Is told after each part, in hundredths of all; may raise `embedseg.common.Stopped`.
    """
    todo = frames(image)
    done = []
    for number, frame in enumerate(todo):

        def part(n: int, total: int, number: int = number) -> None:
            tell(round(100 * (number + n / max(total, 1))), 100 * len(todo))

        done.append(_frame(model, frame, image, tta, part))
    return Predicted(tuple(done), "T" in image.axes)


def _frame(model: Segmenter, data: NDArray[Any], image: Image, tta: bool, tell: Tell) -> Frame:
    """Apply the net to one image, (C, *space)."""
    shape, spacing, config = data.shape[1:], image.spacing, model.config
    axes = "C" + "ZYX"[-len(shape) :]
    planes = len(shape) == config.ndim + 1
    if not (planes and model.source.links_planes(spacing)):
        maps = model.predict(
            data, axes=axes, spacing=spacing, tta=tta, planes=planes, progress=tell
        )
        return Frame((maps,), shape, False)
    inner, found = spacing and spacing[1:], []
    for number in range(shape[0]):
        tell(number, shape[0])
        found.append(
            model.predict(data[:, number], axes="CYX", spacing=inner, tta=tta, planes=False)
        )
    tell(shape[0], shape[0])
    return Frame(tuple(found), shape, True)

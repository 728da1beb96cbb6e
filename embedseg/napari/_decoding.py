"""Maps kept for decoding with other thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.data import split_frames
from embedseg.images import Image
from embedseg.labels import link_slices
from embedseg.types import Maps

if TYPE_CHECKING:
    from embedseg.segmenter import Segmenter

#: Gets the parts done and their total.
ProgressCallback = Callable[[int, int], object]


@dataclass(frozen=True)
class FrameMaps:
    """Maps of an image, or of one frame of a film.

    Attributes
    ----------
    maps : tuple of Maps
        One; or one per plane, if planes are to be linked.
    shape : tuple of int
        Of the image.
    linked : bool
        Whether these are planes to be linked.
    """

    maps: tuple[Maps, ...]
    shape: tuple[int, ...]
    linked: bool

    def labels(self, model: Segmenter) -> tuple[NDArray[np.int32], Mapping[str, Any] | None]:
        """Decode the maps; return labels on the image's grid, and the table of objects or None."""
        shape = self.shape[1:] if self.linked else self.shape
        planes = [model.decode(maps, shape) for maps in self.maps]
        if self.linked:
            return link_slices(np.stack([each.labels for each in planes])), None
        return planes[0].labels, planes[0].objects

    def centres(self, objects: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the centres of objects in pixels of the image, (n, ndim)."""
        maps = self.maps[0]
        factor = np.divide(self.shape, maps.shape)
        # Pixels are boxes: their corners stay in place, not their centres.
        return np.asarray((objects["centre"] / np.array(maps.spacing) + 0.5) * factor - 0.5)


@dataclass(frozen=True)
class Decoded:
    """Decoded maps.

    Attributes
    ----------
    labels : (T?, *space) int32 ndarray
    centres : (n, axes of labels) ndarray or None
        Centres of objects; None without a table of objects.
    features : dict or None
        Columns for the labels layer: `index`, score and size of each object.
    summary : str
        Objects or classes in words, such as "3 objects".
    """

    labels: NDArray[np.int32]
    centres: NDArray[np.float64] | None
    features: dict[str, NDArray[Any]] | None
    summary: str


@dataclass(frozen=True)
class PredictedMaps:
    """Maps of an image or a film.

    Attributes
    ----------
    frames : tuple of Frame
    film : bool
        Whether there is a time axis.
    """

    frames: tuple[FrameMaps, ...]
    film: bool

    def decode(self, model: Segmenter) -> Decoded:
        """Decode the maps with a model's options."""
        decoded = [frame.labels(model) for frame in self.frames]
        labels = [each for each, _ in decoded]
        summary = model.config.method.describe(labels)
        tables = [objects for _, objects in decoded if objects is not None]
        if len(tables) < len(decoded):
            return Decoded(self._join(labels), None, None, summary)
        centres = [frame.centres(table) for frame, table in zip(self.frames, tables, strict=True)]
        if self.film:
            centres = [np.insert(each, 0, time, axis=1) for time, each in enumerate(centres)]
        features = None if self.film else _make_features(tables[0])
        return Decoded(self._join(labels), np.concatenate(centres), features, summary)

    def _join(self, labels: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        return np.stack(labels) if self.film else labels[0]

    def pictures(self) -> dict[str, NDArray[np.float32]]:
        """Return the channels of the activated maps by name, (T?, *space of the maps)."""
        maps = self.frames[0].maps[0]
        pictures = {}
        for spec in maps.specs:
            for channel in range(spec.channels):
                along = spec.kind in ("vector", "extent")
                axis = " " + "ZYX"[channel - spec.channels] if along else ""
                number = f" {channel}" if not along and spec.channels > 1 else ""
                pictures[spec.name + axis + number] = self._channel(spec.name, channel)
        return pictures

    def _channel(self, name: str, channel: int) -> NDArray[np.float32]:
        planes = [[maps[name][channel] for maps in frame.maps] for frame in self.frames]
        channels = [
            np.stack(each) if frame.linked else each[0]
            for each, frame in zip(planes, self.frames, strict=True)
        ]
        return np.stack(channels) if self.film else channels[0]


def _make_features(table: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the table of objects as columns of a labels layer; label 0 is the background."""
    count = len(table["size"])
    return {
        "index": np.arange(1, count + 1),
        "score": np.round(table["score"], 3),
        "size": np.asarray(table["size"]),
    }


def predict_maps(
    model: Segmenter, image: Image, tta: bool, progress: ProgressCallback
) -> PredictedMaps:
    """Apply a model's net to an image or to each frame of a film.

    A 2D model is applied to a volume plane by plane.

    Parameters
    ----------
    model : Segmenter
    image : Image
        Axes in the order (T, C, Z, Y, X).
    tta : bool
        Average over the symmetries of the grid.
    progress : callable
        Called after each part with the progress; may raise `embedseg.common.Stopped`.
    """
    frames = split_frames(image)
    predicted = []
    for number, frame in enumerate(frames):

        def report_part(n: int, total: int, number: int = number) -> None:
            progress(round(100 * (number + n / max(total, 1))), 100 * len(frames))

        predicted.append(_predict_frame(model, frame, image, tta, report_part))
    return PredictedMaps(tuple(predicted), "T" in image.axes)


def _predict_frame(
    model: Segmenter, data: NDArray[Any], image: Image, tta: bool, progress: ProgressCallback
) -> FrameMaps:
    """Apply the net to one image, (C, *space)."""
    shape, spacing, config = data.shape[1:], image.spacing, model.config
    axes = "C" + "ZYX"[-len(shape) :]
    planes = len(shape) == config.ndim + 1
    if not (planes and model.predictor.links_planes(spacing)):
        maps = model.predict(
            data, axes=axes, spacing=spacing, tta=tta, planes=planes, progress=progress
        )
        return FrameMaps((maps,), shape, False)
    plane_spacing, maps_of_planes = spacing and spacing[1:], []
    for number in range(shape[0]):
        progress(number, shape[0])
        maps_of_planes.append(
            model.predict(data[:, number], axes="CYX", spacing=plane_spacing, tta=tta, planes=False)
        )
    progress(shape[0], shape[0])
    return FrameMaps(tuple(maps_of_planes), shape, True)

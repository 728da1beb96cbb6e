"""Result layers: labels, centres, maps."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from embedseg.napari._decoding import Found, Predicted
from embedseg.napari._layers import free_name

if TYPE_CHECKING:
    from napari import Viewer

#: Under which name a layer's metadata say what it is part of.
PART = "embedseg part"


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


class Results:
    """The layers that show results: labels, centres and maps.

    Attributes
    ----------
    labels : layer of napari or None
        Where labels go, as long as nobody has edited them.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.labels: Any = None
        self._sum = 0

    def show_labels(
        self, job: Job, found: Found, colours: Mapping[str, str], known: Mapping[str, Any]
    ) -> None:
        """Show labels in the layer of the last ones, unless a person has changed that since.

        `colours` are those of classes, none for objects; `known` goes into the layer's metadata.
        """
        layer = self._held(job, "labels")
        if layer is not None and layer is self.labels and _sum(layer.data) == self._sum:
            layer.data = found.labels
            layer.features = found.features or {}
            layer.scale, layer.translate = job.place["scale"], job.place["translate"]
        else:
            if layer is not None:
                layer.metadata = {k: v for k, v in layer.metadata.items() if k != PART}
            table: dict[int | None, str] = dict(enumerate(colours.values()))
            own = {"colormap": DirectLabelColormap(color_dict=table | {None: "transparent"})}
            name = free_name([each.name for each in self.viewer.layers], f"{job.layer.name} labels")
            self.labels = self.viewer.add_labels(
                found.labels,
                name=name,
                features=found.features,
                **job.place,
                **(own if colours else {}),
                metadata=_mark(job, "labels") | dict(known),
            )
        self._sum = _sum(found.labels)

    def show_centres(self, job: Job, found: Found | None) -> None:
        """Show the centres of objects; None, or where there are none, takes them away."""
        layer = self._held(job, "centres")
        if found is None or found.centres is None:
            if layer is not None:
                self.viewer.layers.remove(layer)
        elif layer is not None:
            layer.data = found.centres
        else:
            self.viewer.add_points(
                found.centres,
                name=f"{job.layer.name} centres",
                size=max(2.0, max(found.labels.shape) / 80),
                face_color="yellow",
                border_color="black",
                metadata=_mark(job, "centres"),
                **job.place,
            )

    def show_maps(self, job: Job | None) -> None:
        """Show the maps, the last of them visible; None takes them away."""
        for layer in [
            each for each in self.viewer.layers if each.metadata.get(PART, ("",))[0] == "maps"
        ]:
            self.viewer.layers.remove(layer)
        if job is None:
            return
        pictures = job.predicted.pictures()
        for name, picture in pictures.items():
            both = float(np.nanmin(picture)) < 0
            limit = float(np.nanmax(np.abs(picture))) or 1.0
            self.viewer.add_image(
                picture,
                name=f"{job.layer.name} {name}",
                metadata=_mark(job, "maps"),
                colormap="PuOr" if both else "magma",
                visible=name == list(pictures)[-1],
                contrast_limits=(-limit, limit) if both else (0, limit),
                **_on_grid_of_maps(job, picture.shape),
            )
        # The labels stay on top.
        if self.labels in self.viewer.layers:
            self.viewer.layers.move(self.viewer.layers.index(self.labels), -1)

    def _held(self, job: Job, part: str) -> Any:
        """Return the layer with a part of the results of an image, if it is still there."""
        mark = (part, job.layer.name)
        return next(
            (layer for layer in reversed(self.viewer.layers) if layer.metadata.get(PART) == mark),
            None,
        )


def _mark(job: Job, part: str) -> dict[str, Any]:
    return {PART: (part, job.layer.name), "embedseg image": job.layer.name}


def _sum(labels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(labels).data)


def _on_grid_of_maps(job: Job, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return where maps belong, which may be on another grid than the image."""
    frame = job.predicted.frames[0]
    space = len(frame.shape)
    factor = np.ones(len(shape))
    factor[-space:] = np.divide(frame.shape, shape[-space:])
    scale = np.asarray(job.place["scale"], float)
    shift = np.asarray(job.place["translate"], float) + (factor - 1) / 2 * scale
    return job.place | {"scale": scale * factor, "translate": shift}

"""Result layers: labels, centres, maps."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from embedseg.napari._decoding import Decoded, PredictedMaps
from embedseg.napari._layers import find_free_name

if TYPE_CHECKING:
    from napari import Viewer

#: Key of a layer's metadata for the part of the results that it shows.
PART_KEY = "embedseg part"
#: And for the box of the image that labels belong to: start and stop along each axis.
BOX_KEY = "embedseg box"


class PredictedLayer(NamedTuple):
    """The maps predicted for a layer.

    Attributes
    ----------
    layer : layer of napari
        The image.
    placement : dict
        Scale, translation, units and axis labels of the results.
    maps : PredictedMaps
    box : tuple of slice
        The part that was predicted, along the axes of the layer; empty for all of it.
    """

    layer: Any
    placement: dict[str, Any]
    maps: PredictedMaps
    box: tuple[slice, ...] = ()


class ResultLayers:
    """Layers that show results: labels, centres and maps.

    Attributes
    ----------
    labels : layer of napari or None
        The layer that labels are shown in, until it is edited.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.labels: Any = None
        self._sum = 0
        self._box: tuple[slice, ...] = ()

    def show_labels(
        self,
        prediction: PredictedLayer,
        decoded: Decoded,
        colours: Mapping[str, str],
        metadata: Mapping[str, Any],
    ) -> None:
        """Show labels in the present labels layer; in a new one if that was edited.

        So of another part of the image.

        `colours` are those of classes, empty for objects; `metadata` is added to the layer's.
        """
        layer = self._find_layer(prediction, "labels")
        mine = layer is not None and layer is self.labels and self._box == prediction.box
        if mine and _checksum(layer.data) == self._sum:
            layer.data = decoded.labels
            layer.features = decoded.features or {}
            layer.scale = prediction.placement["scale"]
            layer.translate = prediction.placement["translate"]
        else:
            if layer is not None:
                layer.metadata = {k: v for k, v in layer.metadata.items() if k != PART_KEY}
            table: dict[int | None, str] = dict(enumerate(colours.values()))
            colormap = {"colormap": DirectLabelColormap(color_dict=table | {None: "transparent"})}
            name = find_free_name(
                [each.name for each in self.viewer.layers], f"{prediction.layer.name} labels"
            )
            self.labels = self.viewer.add_labels(
                decoded.labels,
                name=name,
                features=decoded.features,
                **prediction.placement,
                **(colormap if colours else {}),
                metadata=_make_metadata(prediction, "labels")
                | {BOX_KEY: [(side.start, side.stop) for side in prediction.box]}
                | dict(metadata),
            )
        self._sum, self._box = _checksum(decoded.labels), prediction.box

    def show_centres(self, prediction: PredictedLayer, decoded: Decoded | None) -> None:
        """Show the centres of objects; remove their layer if there are none."""
        layer = self._find_layer(prediction, "centres")
        if decoded is None or decoded.centres is None:
            if layer is not None:
                self.viewer.layers.remove(layer)
        elif layer is not None:
            layer.data = decoded.centres
            layer.translate = prediction.placement["translate"]
        else:
            self.viewer.add_points(
                decoded.centres,
                name=f"{prediction.layer.name} centres",
                size=max(2.0, max(decoded.labels.shape) / 80),
                face_color="yellow",
                border_color="black",
                metadata=_make_metadata(prediction, "centres"),
                **prediction.placement,
            )

    def show_maps(self, prediction: PredictedLayer | None) -> None:
        """Show the maps, with only the last visible; None removes them."""
        for layer in [
            each for each in self.viewer.layers if each.metadata.get(PART_KEY, ("",))[0] == "maps"
        ]:
            self.viewer.layers.remove(layer)
        if prediction is None:
            return
        pictures = prediction.maps.pictures()
        for name, picture in pictures.items():
            signed = float(np.nanmin(picture)) < 0
            limit = float(np.nanmax(np.abs(picture))) or 1.0
            self.viewer.add_image(
                picture,
                name=f"{prediction.layer.name} {name}",
                metadata=_make_metadata(prediction, "maps"),
                colormap="PuOr" if signed else "magma",
                visible=name == list(pictures)[-1],
                contrast_limits=(-limit, limit) if signed else (0, limit),
                **_place_maps(prediction, picture.shape),
            )
        # Labels stay on top.
        if self.labels in self.viewer.layers:
            self.viewer.layers.move(self.viewer.layers.index(self.labels), -1)

    def _find_layer(self, prediction: PredictedLayer, part: str) -> Any:
        """Return the layer with a part of the results of an image; None if it was removed."""
        mark = (part, prediction.layer.name)
        return next(
            (
                layer
                for layer in reversed(self.viewer.layers)
                if layer.metadata.get(PART_KEY) == mark
            ),
            None,
        )


def _make_metadata(prediction: PredictedLayer, part: str) -> dict[str, Any]:
    return {PART_KEY: (part, prediction.layer.name), "embedseg image": prediction.layer.name}


def _checksum(labels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(labels).data)


def _place_maps(prediction: PredictedLayer, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the placement of maps, whose grid may differ from that of the image."""
    frame = prediction.maps.frames[0]
    space = len(frame.shape)
    factor = np.ones(len(shape))
    factor[-space:] = np.divide(frame.shape, shape[-space:])
    scale = np.asarray(prediction.placement["scale"], float)
    shift = np.asarray(prediction.placement["translate"], float) + (factor - 1) / 2 * scale
    return prediction.placement | {"scale": scale * factor, "translate": shift}

"""Segmentation of images, films and volumes by a model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import Progress
from embedseg.geometry import check_spacing, resample_labels
from embedseg.labels import link_slices, object_ids, relabel
from embedseg.model.config import Config
from embedseg.model.predictor import Predictor
from embedseg.model.trained_net import COARSEST_SIDE_VIEW
from embedseg.types import (
    Floats,
    Maps,
    PerAxis,
    Segmentation,
    Spacing,
    arrange,
    missing_pixels,
)

log = logging.getLogger("embedseg")


@dataclass(frozen=True)
class Request:
    """How an image is to be segmented.

    Attributes
    ----------
    axes : str, optional
        Axes of the image: "YX", "ZYX", "CYX", "TZYX" ...
    spacing : tuple of float, optional
        Size of a pixel along the space axes, µm; default: the model's.
    tta : bool, optional
        Whether to average over the symmetries of the grid; default: `config.predict.tta`.
    planes : bool, optional
        Whether to apply a 2D model to the planes of a volume; default: `config.predict.planes`.
    progress : bool or callable
        Whether to show a bar, or what is called with the numbers of tiles done and in all.
    """

    axes: str | None = None
    spacing: Spacing | None = None
    tta: bool | None = None
    planes: bool | None = None
    progress: Progress = False

    def arranged(self, image: NDArray[Any], config: Config) -> Floats:
        """Return an image as (C, *space); a volume where the planes of one are asked for."""
        return arrange(image, self.axes, config.ndim + self.volume(config), config.channels)

    def volume(self, config: Config) -> bool:
        """Return whether a 2D model is applied to a volume."""
        planes = config.predict.planes if self.planes is None else self.planes
        return planes and config.ndim == 2


def predict_maps(predictor: Predictor, image: NDArray[Any], request: Request) -> Maps:
    """Return the maps of an image, in the model's spacing."""
    ready = request.arranged(image, predictor.config)
    check_pixel_size(predictor, request.spacing)
    return predictor.maps(ready, request.spacing, tta=request.tta, progress=request.progress)


def segment_image(predictor: Predictor, image: NDArray[Any], request: Request) -> Segmentation:
    """Segment an image, or a film frame by frame.

    Positions in the table of objects are pixels of the model's spacing; there is no table of
    frames, nor where planes are segmented one by one.

    Parameters
    ----------
    predictor : Predictor
    image : (*space), (C, *space) or, as `request.axes` says, any other ndarray
    request : Request

    Raises
    ------
    DataError
        If the image does not fit the model.
    """
    if request.axes and "T" in request.axes.upper():
        frames = np.moveaxis(np.asarray(image), request.axes.upper().index("T"), 0)
        one = replace(request, axes=request.axes.upper().replace("T", ""), progress=False)
        return Segmentation(
            np.stack([segment_image(predictor, frame, one).labels for frame in frames])
        )
    ready = request.arranged(image, predictor.config)
    check_pixel_size(predictor, request.spacing)
    if request.volume(predictor.config) and predictor.links_planes(request.spacing):
        return _linked_planes(predictor, ready, request)
    maps = predictor.maps(ready, request.spacing, tta=request.tta, progress=request.progress)
    return decode_maps(predictor.config, maps, ready.shape[1:])


def check_pixel_size(
    predictor: Predictor, spacing: Spacing | None, name: str = "the image", *, warn: bool = True
) -> None:
    """Check that the pixels of an image are about as large as those of a model.

    Raises
    ------
    UsageError
        As `embedseg.geometry.check_spacing`, unless `config.predict.any_spacing` is set.
    """
    for config in predictor.configs():
        # Of a volume for a 2D model, planes are compared; other axes that do not fit, not at all.
        if config.spacing_known and spacing is not None and len(spacing) >= config.ndim:
            own, accepted = tuple(spacing)[-config.ndim :], predictor.config.predict.any_spacing
            check_spacing(own, config.spacing, name, any_spacing=accepted, warn=warn)


def decode_maps(config: Config, maps: Maps, shape: PerAxis | None = None) -> Segmentation:
    """Decode maps; with a shape, labels are resampled to the grid of an image of that shape.

    Objects without a pixel on that grid are dropped, and the others numbered 1 to n.
    """
    segmentation = config.method.decode(maps)
    if shape is None or segmentation.labels.shape == tuple(shape):
        return segmentation
    labels = resample_labels(segmentation.labels, shape)
    if config.method.reads == "classes":
        return replace(segmentation, labels=labels)
    kept, table = object_ids(labels) - 1, segmentation.objects
    if table is not None:
        table = {name: column[kept] for name, column in table.items()}
    return Segmentation(relabel(labels), table)


def _linked_planes(predictor: Predictor, volume: Floats, request: Request) -> Segmentation:
    """Segment the planes of a volume, (C, Z, Y, X), and link objects from plane to plane."""
    log.info(
        "planes are segmented one by one and linked: side views need a known spacing "
        "with axes within a factor of %g",
        COARSEST_SIDE_VIEW,
    )
    spacing = None if request.spacing is None else request.spacing[1:]
    one = Request("CYX", spacing, request.tta, planes=False)
    planes = [
        np.zeros(plane.shape[1:], np.int32)
        if missing_pixels(plane).all()
        else segment_image(predictor, plane, one).labels
        for plane in np.moveaxis(volume, 1, 0)
    ]
    log.info("joining the objects of %d planes", len(planes))
    return Segmentation(link_slices(np.stack(planes)))

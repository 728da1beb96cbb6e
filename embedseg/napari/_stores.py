"""Files and stores as layers: images, label images, levels."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from embedseg.images import (
    Image,
    LazyImage,
    is_lazy_source,
    label_axes,
    list_labels,
    open_lazy,
    stem,
)
from embedseg.napari._layers import Layer, make_placement
from embedseg.types import DataError, UsageError, check_labels

log = logging.getLogger("embedseg")

#: Names of folders that hold label images; also that of the labels in an OME-Zarr.
FOLDERS = ("masks", "labels")


def is_in_labels_folder(path: Path) -> bool:
    """Return whether a file lies in a folder of label images."""
    return any(parent.name.lower() in FOLDERS for parent in path.parents[:2])


def make_layer(image: Image, name: str, labels: bool) -> Layer:
    """Return an image as an image layer, or as a labels layer if it holds integers."""
    axes = image.axes
    if labels and image.data.dtype.kind in "iub" and "C" not in axes:
        values = check_labels(image.data, name=name)
        return values, {"name": name, **make_placement(axes, image.spacing, image.scales)}, "labels"
    known: dict[str, Any] = {
        "name": name,
        **make_placement(label_axes(axes), image.spacing, image.scales),
    }
    if "C" in axes:
        known["channel_axis"] = axes.index("C")
        known["name"] = [
            f"{name} {channel}"
            for channel in image.channels or range(image.data.shape[axes.index("C")])
        ]
    return image.data, known, "image"


def read_store(path: Path) -> list[Layer]:
    """Read a store or a slide lazily: its image, and the label images that it lists.

    Levels become a multiscale layer, save those of a label image that is opened by itself. A label
    image that cannot be read is named in a warning.

    Raises
    ------
    DataError, UsageError
        If there is no image, or it cannot be read.
    """
    image, name = open_lazy(path), stem(path)
    if is_in_labels_folder(path) or _is_label_group(path):
        if image.dtype.kind in "iu":
            # One level, as napari cannot paint on several.
            return [_make_labels_layer(replace(image, levels=1), name)]
    first = _make_image_layer(image, name)
    layers, shown = [first], first[1]["name"]
    for inside in list_labels(image.source) if is_lazy_source(path) else []:
        title = f"{name} {inside.removeprefix('labels/')}"
        try:
            data, known, kind = _make_labels_layer(open_lazy(f"{image.source}/{inside}"), title)
        except (DataError, UsageError) as error:
            show_warning(str(error))
            continue
        known["metadata"] = {"embedseg image": shown if isinstance(shown, str) else shown[0]}
        layers.append((data, known, kind))
    return layers


def _make_image_layer(image: LazyImage, name: str) -> Layer:
    levels = _open_levels(image)
    lazy = Image(levels[0], image.axes, image.spacing, None, image.channels, image.scales)
    _, known, kind = make_layer(lazy, name, False)
    return _join_levels(levels), known, kind


def _make_labels_layer(image: LazyImage, name: str) -> Layer:
    if image.dtype.kind not in "iub":
        raise DataError(f"{image.source}: labels of type {image.dtype}, expected integers")
    place = make_placement(image.axes, image.spacing, image.scales)
    return _join_levels(_open_levels(image)), {"name": name, **place}, "labels"


def _join_levels(levels: list[Any]) -> Any:
    """Return levels as napari takes them: a list is a multiscale layer."""
    return levels if len(levels) > 1 else levels[0]


def _open_levels(image: LazyImage) -> list[Any]:
    """Return the levels of an image as dask arrays, each smaller than the one before it.

    Coarser levels that cannot be read are left out: the image can be shown without them.
    """
    from dask.array import from_array

    levels = [image]
    for number in range(1, image.levels):
        try:
            coarser = open_lazy(image.source, level=number)
        except DataError as error:
            log.warning("%s", error)
            break
        if coarser.axes != image.axes or prod(coarser.shape) >= prod(levels[-1].shape):
            break
        levels.append(coarser)
    return [from_array(_DaskArray(each), chunks=each.chunks, name=False) for each in levels]


def _is_label_group(path: Path) -> bool:
    """Return whether an OME-Zarr group is marked as labels."""
    for name in ("zarr.json", ".zattrs"):
        try:
            text = (path / name).read_text(encoding="utf-8")
        except OSError:
            continue
        if '"image-label"' in text:
            return True
    return False


class _DaskArray:
    """A lazy image with the interface that dask needs of an array."""

    def __init__(self, image: LazyImage) -> None:
        self.image = image
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, len(image.shape)

    def __getitem__(self, box: tuple[slice | int, ...]) -> NDArray[Any]:
        # dask indexes single planes and channels with integers.
        numbered = tuple(slice(None) if isinstance(side, slice) else 0 for side in box)
        whole = tuple(side if isinstance(side, slice) else slice(side, side + 1) for side in box)
        return self.image.read(whole)[numbered]

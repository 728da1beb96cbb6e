"""Readers and writers of files as layers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image as ImageLayer
from numpy.typing import NDArray

from embedseg.export import EXPORTERS, IMPORTERS, Objects, export_objects, import_objects
from embedseg.images import (
    CONTAINERS,
    LABEL,
    READERS,
    Image,
    LazyImage,
    is_lazy_source,
    open_lazy,
    read_image,
    read_labels,
    stem,
    write_labels,
)
from embedseg.napari._layers import pixels, placement, possible_axes, spacing_in
from embedseg.types import DataError, UsageError, check_labels

Layer = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[Layer]]

#: Folders of label images, by their names; so are files inside of an OME-Zarr's `labels`.
FOLDERS = ("masks", "labels")
#: How label images end.
TIFF = (".tif", ".tiff")
#: What is read by its suffix; PNG is left to napari, as there is no pixel size in it.
SUFFIXES = tuple(suffix for suffix in (*IMPORTERS, *READERS) if suffix != ".png")


# -- reading ---------------------------------------------------------------------------------------
def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return what reads a file, or None if it is not ours; lists of files are left to napari."""
    if not isinstance(path, str):
        return None
    suffix = Path(path).suffix.lower()
    if suffix == ".json" and not _is_outlines(Path(path)):
        return None
    return read if suffix in SUFFIXES or is_lazy_source(Path(path)) else None


def _is_outlines(path: Path) -> bool:
    """Tell whether a JSON file is COCO or GeoJSON, not anything else."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    features = held if isinstance(held, list) else [held]
    return any(
        isinstance(each, dict)
        and (
            "annotations" in each
            or "geometry" in each
            or "features" in each
            or "coordinates" in each
        )
        for each in features
    )


def read(path: str | Sequence[str]) -> list[Layer]:
    """Read a file or a store into layers.

    Outlines (ImageJ ROIs, GeoJSON, COCO) become labels on the image that is open; images come with
    their axes and pixel size; a zarr store is read as it is looked at. Integers in a folder `masks`
    or `labels` are labels.

    Raises
    ------
    DataError, UsageError
        If the file is broken, or it is not known how large its image is.
    """
    source = Path(str(path))
    suffix = source.suffix.lower()
    if suffix in IMPORTERS:
        return [_drawn(source)]
    if is_lazy_source(source):
        return [_lazy(source)]
    if suffix in CONTAINERS:
        return _contained(source)
    return [_layer(read_image(source), stem(source), _in_labels(source))]


def _in_labels(path: Path) -> bool:
    return any(parent.name.lower() in FOLDERS for parent in path.parents[:2])


def _layer(image: Image, name: str, labels: bool) -> Layer:
    """Return an image as a layer, or as labels if its values allow that."""
    axes = image.axes
    if labels and image.data.dtype.kind in "iub" and "C" not in axes:
        values = check_labels(image.data, name=name)
        return values, {"name": name, **placement(axes, image.spacing)}, "labels"
    known: dict[str, Any] = {"name": name, **placement(axes.replace("C", ""), image.spacing)}
    if "C" in axes:
        known["channel_axis"] = axes.index("C")
        known["name"] = [
            f"{name} {channel}"
            for channel in image.channels or range(image.data.shape[axes.index("C")])
        ]
    return image.data, known, "image"


def _contained(path: Path) -> list[Layer]:
    """Read an HDF5 file: its image, and its labels if they lie beside it."""
    layers = [_layer(read_image(path), stem(path), _in_labels(path))]
    try:
        found = read_labels(path / LABEL, axes=None)
    except (DataError, UsageError):  # there are none, or they do not say what they are
        return layers
    return [*layers, _layer(found, f"{stem(path)} labels", True)]


def _lazy(path: Path) -> Layer:
    from dask.array import from_array

    image = open_lazy(path)
    data = from_array(_Boxes(image), chunks=image.chunks, name=False)
    found = Image(data, image.axes, image.spacing, channels=image.channels)
    if image.dtype.kind in "iu" and (_in_labels(path) or _says_labels(path)):
        return data, {"name": stem(path), **placement(found.axes, found.spacing)}, "labels"
    return _layer(found, stem(path), False)


def _says_labels(path: Path) -> bool:
    """Tell whether an OME-Zarr group says that it holds labels."""
    for name in ("zarr.json", ".zattrs"):
        try:
            text = (path / name).read_text(encoding="utf-8")
        except OSError:
            continue
        if '"image-label"' in text:
            return True
    return False


class _Boxes:
    """What dask needs of an array."""

    def __init__(self, image: LazyImage) -> None:
        self.image = image
        self.shape, self.dtype, self.ndim = image.shape, image.dtype, len(image.shape)

    def __getitem__(self, box: tuple[slice | int, ...]) -> NDArray[Any]:
        # dask asks for one plane or channel by its number.
        numbered = tuple(slice(None) if isinstance(side, slice) else 0 for side in box)
        whole = tuple(side if isinstance(side, slice) else slice(side, side + 1) for side in box)
        return self.image.read(whole)[numbered]


def _drawn(path: Path) -> Layer:
    """Read outlines onto the image that is open, which says how large it is."""
    layer = _open_image()
    axes = "" if layer is None else possible_axes(layer)[0].replace("C", "")
    shape = None
    if layer is not None and axes in ("YX", "ZYX"):
        own = pixels(layer).shape
        shape = own[: len(axes)] if getattr(layer, "rgb", False) else own[-len(axes) :]
    try:
        found = import_objects(path, shape, image=None if layer is None else layer.name)
    except UsageError as error:
        if shape is None:
            raise UsageError(
                f"{path}: open its image first, and select it: outlines do not say "
                f"how large the image is ({error})"
            ) from error
        raise
    known: dict[str, Any] = {"name": stem(path)}
    if layer is not None and found.labels.ndim == layer.ndim:
        known |= {
            name: getattr(layer, name)
            for name in ("scale", "translate", "units", "axis_labels", "affine")
        }
        known["metadata"] = {"embedseg image": layer.name}
    return found.labels, known, "labels"


def _open_image() -> Any:
    """Return the selected image layer of the viewer that is in use, else its last one."""
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    images = [layer for layer in viewer.layers if isinstance(layer, ImageLayer)]
    selected = [layer for layer in images if layer in viewer.layers.selection]
    return (selected or images or [None])[-1]


# -- writing ---------------------------------------------------------------------------------------
def write(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write a labels layer in the format that the name of the file says.

    A file is written over: napari's dialog has asked. A store is not.

    Raises
    ------
    DataError, UsageError
        If the labels do not fit the format, or the store is there.
    """
    target, labels = Path(path), np.asarray(data)
    suffix, spacing = target.suffix.lower(), spacing_in(attributes, labels.ndim)
    if suffix in TIFF:
        write_labels(target, labels, spacing, _axes(attributes, labels.ndim))
        return [path]
    kinds = {exporter.suffix: kind for kind, exporter in EXPORTERS.items()}
    if suffix not in kinds:
        raise UsageError(f"{path}: labels are written as {', '.join([*kinds, *TIFF])}")
    objects = Objects(
        check_labels(labels, name=target.name),
        spacing or (1.0,) * labels.ndim,
        str(attributes.get("name", target.stem)),
        _scores(attributes),
    )
    folder = EXPORTERS[kinds[suffix]].folder
    export_objects(target, objects, kinds[suffix], overwrite=os.path.isfile(path) and not folder)
    return [path]


def _axes(attributes: Mapping[str, Any], ndim: int) -> str:
    said = "".join(attributes.get("axis_labels") or ())
    return said if said in ("YX", "ZYX", "TYX", "TZYX") and len(said) == ndim else "TZYX"[-ndim:]


def _scores(attributes: Mapping[str, Any]) -> dict[int, float]:
    """Return the scores of objects by their label, from the features of the layer."""
    features = attributes.get("features")
    if features is None or not {"index", "score"} <= set(features):
        return {}
    pairs = zip(features["index"], features["score"], strict=True)
    return {int(label): float(score) for label, score in pairs if np.isfinite(score)}

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

from embedseg.export import EXPORTERS, IMPORTERS, Objects, export_objects, import_objects
from embedseg.images import (
    CONTAINERS,
    LABEL,
    PICTURES,
    READERS,
    SLIDES,
    is_lazy_source,
    label_axes,
    read_image,
    read_labels,
    stem,
    write_labels,
)
from embedseg.model import ModelFolder
from embedseg.napari._layers import Layer, list_axes, parse_scales, parse_spacing, read_pixels
from embedseg.napari._models import read_model
from embedseg.napari._stores import is_in_labels_folder, make_layer, read_store
from embedseg.types import DataError, UsageError, check_labels

Reader = Callable[[str | Sequence[str]], list[Layer]]

#: Suffixes of label images.
TIFF = (".tif", ".tiff")
#: Suffixes that are read; PNG and JPEG are left to napari, as they have no pixel size.
SUFFIXES = tuple(suffix for suffix in (*IMPORTERS, *READERS) if suffix not in PICTURES)


# -- reading ---------------------------------------------------------------------------------------
def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of a file, a store or the folder of a model.

    None for other files and folders and for lists, which are left to napari.
    """
    if not isinstance(path, str):
        return None
    if ModelFolder(Path(path)).usable():
        return read_model
    suffix = Path(path).suffix.lower()
    if suffix == ".json" and not _is_outlines(Path(path)):
        return None
    return read if suffix in SUFFIXES or is_lazy_source(Path(path)) else None


def _is_outlines(path: Path) -> bool:
    """Return whether a JSON file is COCO or GeoJSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    features = content if isinstance(content, list) else [content]
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

    Outlines (ImageJ ROIs, GeoJSON, COCO) become labels on the grid of the open image; images come
    with their axes and pixel size; zarr stores are read lazily, with the labels and levels that
    they have. Integer images in a folder `masks` or `labels` become labels.

    Raises
    ------
    DataError, UsageError
        If the file is broken, or the size of its image is unknown.
    """
    source = Path(str(path))
    suffix = source.suffix.lower()
    if suffix in IMPORTERS:
        return [_read_outlines(source)]
    if is_lazy_source(source) or suffix in SLIDES:
        return read_store(source)
    if suffix in CONTAINERS:
        return _read_container(source)
    labels = is_in_labels_folder(source)
    return [make_layer(read_image(source, as_stored=labels), stem(source), labels)]


def _read_container(path: Path) -> list[Layer]:
    """Read an HDF5 file: its image, and its labels if it has some."""
    layers = [make_layer(read_image(path), stem(path), is_in_labels_folder(path))]
    try:
        labels = read_labels(path / LABEL, axes=None)
    except (DataError, UsageError):  # no labels, or labels without known axes
        return layers
    return [*layers, make_layer(labels, f"{stem(path)} labels", True)]


def _read_outlines(path: Path) -> Layer:
    """Read outlines as labels on the grid of the open image."""
    layer = _find_open_image()
    axes = "" if layer is None else label_axes(list_axes(layer)[0])
    shape = None
    if layer is not None and axes in ("YX", "ZYX", "TYX", "TZYX"):
        own = read_pixels(layer).shape
        shape = own[: len(axes)] if getattr(layer, "rgb", False) else own[-len(axes) :]
    try:
        objects = import_objects(path, shape, image=None if layer is None else layer.name)
    except UsageError as error:
        if shape is None:
            raise UsageError(
                f"{path}: open its image first, and select it: outlines have no image size "
                f"({error})"
            ) from error
        raise
    known: dict[str, Any] = {"name": stem(path)}
    if layer is not None and objects.labels.ndim == layer.ndim:
        known |= {
            name: getattr(layer, name)
            for name in ("scale", "translate", "units", "axis_labels", "affine")
        }
        known["metadata"] = {"embedseg image": layer.name}
    return objects.labels, known, "labels"


def _find_open_image() -> Any:
    """Return the selected image layer of the current viewer, else its last one."""
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    images = [layer for layer in viewer.layers if isinstance(layer, ImageLayer)]
    selected = [layer for layer in images if layer in viewer.layers.selection]
    return (selected or images or [None])[-1]


# -- writing ---------------------------------------------------------------------------------------
def write(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write a labels layer in the format of the file's suffix.

    An existing file is overwritten, as napari's dialog has asked; an existing store is not.

    Raises
    ------
    DataError, UsageError
        If the labels do not fit the format, or the store exists.
    """
    # Levels are a sequence of arrays.
    target, labels = Path(path), np.asarray(data[0] if isinstance(data, Sequence) else data)
    suffix, spacing = target.suffix.lower(), parse_spacing(attributes, labels.ndim)
    if suffix in TIFF:
        write_labels(target, labels, spacing, _parse_axes(attributes, labels.ndim))
        return [path]
    kinds = {each.suffix: kind for kind, each in EXPORTERS.items() if not each.tracks}
    if suffix not in kinds:
        raise UsageError(f"{path}: labels are written as {', '.join([*kinds, *TIFF])}")
    objects = Objects(
        check_labels(labels, name=target.name),
        spacing or (1.0,) * labels.ndim,
        str(attributes.get("name", target.stem)),
        _read_scores(attributes),
        spacing_known=spacing is not None,
        scales=parse_scales(attributes, spacing),
    )
    folder = EXPORTERS[kinds[suffix]].folder
    export_objects(target, objects, kinds[suffix], overwrite=os.path.isfile(path) and not folder)
    return [path]


def _parse_axes(attributes: Mapping[str, Any], ndim: int) -> str:
    axes = "".join(attributes.get("axis_labels") or ())
    return axes if axes in ("YX", "ZYX", "TYX", "TZYX") and len(axes) == ndim else "TZYX"[-ndim:]


def _read_scores(attributes: Mapping[str, Any]) -> dict[int, float]:
    """Return the scores of objects by their label, from the features of the layer."""
    features = attributes.get("features")
    if features is None or not {"index", "score"} <= set(features):
        return {}
    pairs = zip(features["index"], features["score"], strict=True)
    return {int(label): float(score) for label, score in pairs if np.isfinite(score)}

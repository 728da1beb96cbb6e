"""HDF5 datasets: pixels, axes, pixel size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embedseg.common import missing_library
from embedseg.images.axes import SPACE
from embedseg.images.content import Content, Layout, check_memory, make_plain_layout, usable_sizes
from embedseg.types import DataError

#: Suffixes of files that hold several arrays by name.
CONTAINERS = (".h5", ".hdf5")
#: Default names of the datasets with image and labels: those of PlantSeg.
RAW, LABEL = "raw", "label"


def read_hdf5(path: Path, name: str | None = None) -> Content:
    """Read a dataset of two axes or more, with the metadata of ilastik, PlantSeg and Fiji.

    Named axes of length 1 are left out, save Y and X: ilastik stores five axes of any image.
    Without a name it is the only one, or else the one called "raw".
    """
    with open_hdf5(path, name) as (dataset, layout):
        check_memory(path, layout.shape, dataset.dtype)
        return Content(dataset[()].reshape(layout.shape), layout.axes, layout.sizes)


@contextmanager
def open_hdf5(path: Path, name: str | None = None) -> Iterator[tuple[Any, Layout]]:
    """Open a dataset as `read_hdf5` does, with its layout, without reading pixels."""
    try:
        import h5py
    except ImportError as error:
        raise missing_library(f"{path}: needs", error, "hdf5") from error
    with h5py.File(path, "r") as file:
        sets: dict[str, Any] = {}
        file.visititems(
            lambda at, item: sets.update({at: item}) if isinstance(item, h5py.Dataset) else None
        )
        images = {at: item for at, item in sets.items() if item.ndim > 1}
        chosen = name or (next(iter(images)) if len(images) == 1 else RAW)
        if chosen not in images:
            names = ", ".join(images) or "none"
            wanted = f"a dataset {name!r}" if name else "one dataset with two axes or more"
            raise DataError(f"{path}: expected {wanted}, found {names}; {path.name}/NAME names one")
        _check_inside(path, chosen, sets)
        yield images[chosen], _read_layout(images[chosen])


def _check_inside(path: Path, chosen: str, sets: dict[str, Any]) -> None:
    """Check that all pixels of a dataset lie in its file: it must not lead to others of the user.

    A virtual dataset may be made of others in the file; links are not followed.

    Raises
    ------
    DataError
        If some lie elsewhere.
    """
    waiting, seen = [chosen], set[str]()
    while waiting:
        dataset = sets[name := waiting.pop()]
        seen.add(name)
        others = [str(part[0]) for part in dataset.external or ()]
        if dataset.is_virtual:
            for source in dataset.virtual_sources():
                inside = source.dset_name.strip("/")
                if source.file_name != "." or inside not in sets:
                    others.append(f"{source.file_name}/{inside}")
                elif inside not in seen:
                    waiting.append(inside)
        if others:
            raise DataError(
                f"{path}: the pixels of dataset {name!r} lie in {others[0]!r}, expected all of "
                "them in this file; copy them into one dataset, such as with h5repack or h5py"
            )


def _read_layout(dataset: Any) -> Layout:
    attributes, ndim = dict(dataset.attrs), dataset.ndim
    labels = "".join(dimension.label for dimension in dataset.dims)
    steps = np.ravel(attributes.get("element_size_um", ()))
    axes = _read_axes(attributes) or labels.upper()
    if len(axes) != ndim and len(steps) == ndim:
        # It has a value per space axis, in the order Z, Y, X.
        axes = SPACE[-ndim:]
    plain = make_plain_layout(dataset.shape)
    stored = {axis: (step, "µm") for axis, step in zip("XYZ", steps[::-1], strict=False)}
    sizes = usable_sizes(dataset.file.filename, stored)
    named = plain._replace(axes=axes if len(axes) == ndim else plain.axes, sizes=sizes)
    return named.squeezed()


def _read_axes(attributes: dict[str, Any]) -> str:
    if "axistags" in attributes:
        tags = json.loads(attributes["axistags"])["axes"]
        return "".join(tag["key"] for tag in tags).upper()
    axes = attributes.get("axes", "")
    return (axes if isinstance(axes, str) else "".join(map(str, axes))).upper()

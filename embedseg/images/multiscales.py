"""Metadata of zarr arrays and OME-Zarr images: axes, pixel size, channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from embedseg.images.content import Layout, make_plain_layout, usable_sizes
from embedseg.types import DataError, Spacing

Version = Literal["0.4", "0.5"]

#: NGFF's type of each axis.
KINDS = {"T": "time", "Z": "space", "Y": "space", "X": "space"}


# -- reading ---------------------------------------------------------------------------------------
def read_array_layout(array: Any) -> Layout:
    """Return the layout of a single zarr array, with axes named as in zarr v3 or xarray.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(3, 4, 5), dtype="u1", dimension_names=["t", "y", "x"])
    >>> read_array_layout(array).axes
    'TYX'
    """
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    plain = make_plain_layout(array.shape)
    return plain._replace(axes="".join(map(_letter, names))) if names else plain


def read_image_layout(source: str, image: dict[str, Any], level: int, array: Any) -> Layout:
    """Return the layout of one level of an OME-Zarr image.

    Parameters
    ----------
    source : str
        Path or URL, for messages.
    image : dict
        Entry of "multiscales".
    level : int
    array : zarr.Array
        The level.

    Raises
    ------
    DataError
        If the metadata describe more or fewer axes than the array has.

    Examples
    --------
    >>> import zarr
    >>> array = zarr.create_array({}, shape=(4, 5), dtype="u1")
    >>> axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "yx"]
    >>> scale = {"type": "scale", "scale": [500, 250]}
    >>> image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    >>> read_image_layout("a.zarr", image, 0, array).sizes
    {'Y': 0.5, 'X': 0.25}
    """
    layout = read_array_layout(array)
    axes = [{"name": axis} if isinstance(axis, str) else axis for axis in image.get("axes", ())]
    if not axes:
        return layout
    letters = "".join(_letter(axis["name"], axis.get("type")) for axis in axes)
    if len(letters) != len(layout.shape):
        raise DataError(
            f"{source}: level {level} has shape {layout.shape}, but the metadata describe "
            f"{len(letters)} axes"
        )
    scale = [1.0] * len(axes)
    steps = image["datasets"][level].get("coordinateTransformations", []) + image.get(
        "coordinateTransformations", []
    )
    for step in steps:
        if step["type"] == "scale":
            scale = [a * b for a, b in zip(scale, step["scale"], strict=True)]
    known = any(step["type"] == "scale" for step in steps)
    stored = {
        letter: (length, axis.get("unit"))
        for letter, length, axis in zip(letters, scale, axes, strict=True)
        if known
    }
    return layout._replace(axes=letters, sizes=usable_sizes(source, stored))


def read_channel_names(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the channels of an OME-Zarr image; none unless all have names.

    Examples
    --------
    >>> read_channel_names({"omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}})
    ('DAPI', 'GFP')
    """
    names = [str(each.get("label", "")) for each in attributes.get("omero", {}).get("channels", ())]
    return tuple(names) if all(names) else ()


def _letter(name: object, kind: str | None = None) -> str:
    """Return the letter of an axis; Q if it is unknown."""
    letter = {"time": "T", "channel": "C"}.get(kind or "", str(name).upper())
    return letter if len(letter) == 1 else "Q"


# -- writing ---------------------------------------------------------------------------------------
def axis_sizes(axes: str, spacing: Spacing | None) -> list[float | None]:
    """Return the size of a pixel along each axis, 1 where it is not known; None for time.

    Examples
    --------
    >>> axis_sizes("TYX", (0.5, 0.25))
    [None, 0.5, 0.25]
    """
    steps = iter(spacing or [1.0] * len(axes))
    return [next(steps) if KINDS[axis] == "space" else None for axis in axes]


def describe_labels(
    axes: str,
    spacing: Spacing | None,
    factors: Sequence[tuple[int, ...]],
    source: str | None,
    version: Version,
) -> dict[str, Any]:
    """Return the attributes that make a group of labels an OME-Zarr image.

    Parameters
    ----------
    axes, spacing, source
        As in `embedseg.images.create_labels`.
    factors : sequence of tuple of int
        Factor by which each level is coarser than the first, along each axis.
    version : {"0.4", "0.5"}

    Examples
    --------
    >>> held = describe_labels("YX", None, [(1, 1), (2, 2)], "../../", "0.4")
    >>> held["image-label"]["source"], held["multiscales"][0]["datasets"][1]["path"]
    ({'image': '../../'}, '1')
    """
    from embedseg.common import __version__

    sizes = [size or 1.0 for size in axis_sizes(axes, spacing)]
    unit = {"unit": "micrometer"} if spacing else {}
    image: dict[str, Any] = {
        "name": "labels",
        "axes": [
            {"name": axis.lower(), "type": KINDS[axis], **(unit if KINDS[axis] == "space" else {})}
            for axis in axes
        ],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transformations(sizes, f)}
            for level, f in enumerate(factors)
        ],
        "type": "mode",
        "metadata": {
            "method": "embedseg.images.pyramid.most_frequent",
            "version": __version__,
            "description": "most frequent label of each cell, the smallest of several",
        },
    }
    label = {"source": {"image": source}} if source else {}
    if version == "0.5":
        return {"ome": {"version": version, "multiscales": [image], "image-label": label}}
    return {
        "multiscales": [{"version": version, **image}],
        "image-label": {"version": version, **label},
    }


def _transformations(sizes: Sequence[float], factor: Sequence[int]) -> list[dict[str, Any]]:
    """Return scale and translation of a level, whose first pixel is centred on its cell."""
    scale = [size * f for size, f in zip(sizes, factor, strict=True)]
    moved = [size * (f - 1) / 2 for size, f in zip(sizes, factor, strict=True)]
    return [
        {"type": "scale", "scale": scale},
        *([{"type": "translation", "translation": moved}] if any(moved) else []),
    ]

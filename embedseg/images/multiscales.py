"""Metadata of zarr arrays and OME-Zarr images: axes, pixel size, channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any, Literal

from embedseg.images.content import Layout, Scale, make_plain_layout, usable_sizes
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
    units = [axis.get("unit") for axis in axes]
    scales = dict(zip(letters, _read_scales(image, level, units), strict=False))
    stored = {letter: (scale.size, scale.unit) for letter, scale in scales.items()}
    usable = all(0 < scale.size < inf and isfinite(scale.start) for scale in scales.values())
    return layout._replace(
        axes=letters, sizes=usable_sizes(source, stored), scales=scales if usable else {}
    )


def _read_scales(image: dict[str, Any], level: int, units: Sequence[str | None]) -> list[Scale]:
    """Return the scales of the axes of a level; none if the metadata have none."""
    sizes, starts = [1.0] * len(units), [0.0] * len(units)
    steps = [
        *image["datasets"][level].get("coordinateTransformations", []),
        *image.get("coordinateTransformations", []),
    ]
    for step in steps:
        if step["type"] == "scale":
            sizes = [a * b for a, b in zip(sizes, step["scale"], strict=True)]
            starts = [a * b for a, b in zip(starts, step["scale"], strict=True)]
        elif step["type"] == "translation":
            starts = [a + b for a, b in zip(starts, step["translation"], strict=True)]
    if not any(step["type"] == "scale" for step in steps):
        return []
    return [Scale(*values) for values in zip(sizes, starts, units, strict=True)]


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
def default_scales(axes: str, spacing: Spacing | None) -> list[Scale]:
    """Return the scales of labels whose image has no place: they start at 0.

    Examples
    --------
    >>> default_scales("TX", (0.5,))
    [Scale(size=1.0, start=0.0, unit=None), Scale(size=0.5, start=0.0, unit='micrometer')]
    """
    return [
        Scale(size or 1.0, unit="micrometer" if size and spacing else None)
        for size in axis_sizes(axes, spacing)
    ]


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
    scales: Sequence[Scale],
    factors: Sequence[tuple[int, ...]],
    source: str | None,
    version: Version,
) -> dict[str, Any]:
    """Return the attributes that make a group of labels an OME-Zarr image.

    Parameters
    ----------
    axes, source
        As in `embedseg.images.create_labels`.
    scales : sequence of Scale
        Of each axis of the first level.
    factors : sequence of tuple of int
        Factor by which each level is coarser than the first, along each axis.
    version : {"0.4", "0.5"}

    Examples
    --------
    >>> held = describe_labels("YX", [Scale(1.0)] * 2, [(1, 1), (2, 2)], "../../", "0.4")
    >>> held["image-label"]["source"], held["multiscales"][0]["datasets"][1]["path"]
    ({'image': '../../'}, '1')
    """
    from embedseg.common import __version__

    image: dict[str, Any] = {
        "name": "labels",
        "axes": [
            {"name": axis.lower(), "type": KINDS[axis], **({"unit": unit} if unit else {})}
            for axis, (*_, unit) in zip(axes, scales, strict=True)
        ],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transformations(scales, f)}
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


def _transformations(scales: Sequence[Scale], factor: Sequence[int]) -> list[dict[str, Any]]:
    """Return scale and translation of a level, whose first pixel is centred on its cell."""
    both = list(zip(scales, factor, strict=True))
    scale = [each.size * f for each, f in both]
    moved = [each.start + each.size * (f - 1) / 2 for each, f in both]
    return [
        {"type": "scale", "scale": scale},
        *([{"type": "translation", "translation": moved}] if any(moved) else []),
    ]

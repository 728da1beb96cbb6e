"""Checks of one image and its mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.data.classes import MOST
from embedseg.data.options import DataOptions
from embedseg.data.problems import Finding, finding
from embedseg.data.samples import frames, spacing_of
from embedseg.images import Image, read_image
from embedseg.labels import object_boxes, split_pieces
from embedseg.types import Spacing

#: Pieces of a label below this number of pixels are specks.
LARGE_PIECE = 8


@dataclass(frozen=True)
class Facts:
    """What is known of one image and its mask; sizes in pixels, one row per object.

    Of a mask of classes the pixels of each value are known instead.
    """

    split: str
    image: Path
    mask: Path
    axes: str
    shape: tuple[int, ...]
    channels: int
    dtype: str
    spacing: Spacing | None
    mask_dtype: str
    sizes: NDArray[np.int64]
    extents: NDArray[np.int64]
    large_pieces: NDArray[np.int64]
    pieces: NDArray[np.int64]
    values: Mapping[int, int]

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return len(self.axes.replace("T", "").replace("C", ""))


def check_pair(
    split: str,
    image_path: Path,
    mask_path: Path,
    options: DataOptions,
    findings: list[Finding],
    objects: bool = True,
) -> Facts | None:
    """Look at one image and its mask; None if there is no saying what they hold.

    `objects` says that masks hold objects, not classes.
    """
    try:
        image = read_image(image_path, options.axes)
        spacing = spacing_of(image, None, options)
        findings += _image_problems(image)
    except Exception as error:  # whatever a decoder raises on a broken file
        findings.append(finding("unreadable image", image_path, str(error)))
        return None
    try:
        mask = _read_mask(mask_path, image.axes)
        problem = _mask_error(mask, image, options)
    except Exception as error:
        findings.append(finding("unreadable mask", mask_path, str(error)))
        return None
    if problem:
        findings.append(problem)
        return None
    if mask.data.dtype.kind == "f":
        findings.append(finding("float mask", mask_path, f"{mask.data.dtype}"))
    planes = [_labels(plane[0], options.ignore_label) for plane in frames(mask)]
    values: dict[int, int] = {}
    if objects:
        findings += _label_warnings(mask_path, planes)
        measured = [_measure(np.maximum(plane, 0), plane < 0) for plane in planes]
    else:
        counted = np.unique(np.stack(planes), return_counts=True)
        values = dict(zip(*(part.tolist() for part in counted), strict=True))
        findings += _class_problems(mask_path, values, options)
        measured = [_measure(np.zeros_like(planes[0]), planes[0] < 0)]
    sizes, extents, large_pieces, pieces = (
        np.concatenate(part) for part in zip(*measured, strict=True)
    )
    return Facts(
        split,
        image_path,
        mask_path,
        image.axes,
        _space(image),
        image.data.shape[image.axes.index("C")] if "C" in image.axes else 1,
        str(image.data.dtype),
        spacing or mask.spacing,
        str(mask.data.dtype),
        sizes,
        extents,
        large_pieces,
        pieces,
        values,
    )


def _labels(data: NDArray[Any], ignore_label: int | None) -> NDArray[np.int32]:
    labels = data.astype(np.int64)
    labels[labels == ignore_label] = -1
    return labels.astype(np.int32)


def _space(image: Image) -> tuple[int, ...]:
    return tuple(n for n, axis in zip(image.data.shape, image.axes, strict=True) if axis in "ZYX")


def _image_problems(image: Image) -> Iterator[Finding]:
    data = image.data
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        count = int((~np.isfinite(data)).sum())
        yield finding("NaN or infinite values", image.path, f"{count} of {data.size} values")
    elif data.min() == data.max():
        yield finding("constant image", image.path, f"every value is {data.min()}")


def _read_mask(path: Path, axes: str) -> Image:
    """Read a mask with the axes of its image, or, to say what it is instead, with channels."""
    wanted = axes.replace("C", "")
    try:
        return read_image(path, wanted)
    except Exception as error:
        for other in (None, "C" + wanted):
            try:
                mask = read_image(path, other)
            except Exception:
                continue
            if mask.axes != wanted:
                return mask
        raise error


def _mask_error(mask: Image, image: Image, options: DataOptions) -> Finding | None:
    """Return the first error in a mask: beyond one, the rest makes no sense."""
    data, axes = mask.data, mask.axes
    found = f"shape {data.shape} ({axes}), {data.dtype}"
    shape = tuple(n for n, a in zip(image.data.shape, image.axes, strict=True) if a != "C")
    extra = axes.find("C") if "C" in axes else 0
    if data.shape[:extra] + data.shape[extra + 1 :] == shape:
        return finding(_channel_problem(data, data.shape[extra]), mask.path, found)
    if data.shape != shape:
        return finding(
            "shape mismatch", mask.path, f"{found}; image {image.data.shape} ({image.axes})"
        )
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        return finding("NaN or infinite values", mask.path, found)
    if data.dtype.kind == "f" and not np.array_equal(data, np.round(data)):
        return finding(
            "fractional mask",
            mask.path,
            f"{data.dtype}, values such as {data[data != np.round(data)].flat[0]:.4g}",
        )
    data = data[data != options.ignore_label] if options.ignore_label is not None else data
    if data.size and (data.min() < -1 or data.max() > np.iinfo(np.int32).max):
        return finding(
            "invalid label values", mask.path, f"values from {data.min()} to {data.max()}"
        )
    return None


def _channel_problem(data: NDArray[Any], channels: int) -> str:
    if channels in (3, 4) and data.max() > 1:
        return "RGB mask"
    return "one-hot mask" if len(np.unique(data)) <= 2 else "mask with channels"


def _label_warnings(path: Path, planes: Sequence[NDArray[np.int32]]) -> Iterator[Finding]:
    if max(int(plane.max()) for plane in planes) <= 0:
        found = "no objects" if any((plane == 0).any() for plane in planes) else "nothing but -1"
        yield finding("empty mask", path, found)
    present = [np.unique(plane[plane > 0]) for plane in planes]
    if gaps := sum(int(ids[-1]) - len(ids) for ids in present if len(ids)):
        yield finding("gaps in numbering", path, f"{gaps} numbers below the highest are not used")


def _class_problems(
    path: Path, values: Mapping[int, int], options: DataOptions
) -> Iterator[Finding]:
    there = [value for value in values if value >= 0]
    if not there:
        yield finding("empty mask", path, "nothing but -1")
    if options.classes:
        known = [value for each in options.classes for value in each.values]
        if odd := [value for value in there if value not in known]:
            yield finding("value without class", path, ", ".join(map(str, odd[:10])))
    elif len(there) > MOST:
        yield finding("too many classes", path, f"{len(there)} values")


def _measure(
    labels: NDArray[np.int32], unknown: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], ...]:
    """Return size, extent and number of large pieces of each object, and of all its pieces."""
    pieces = split_pieces(labels)
    piece_sizes = np.bincount(pieces.ravel())[1:]
    owner = np.zeros(len(piece_sizes) + 1, np.int64)
    owner[pieces.ravel()] = labels.ravel()
    ids, owner = np.unique(owner[1:], return_inverse=True)
    # Pieces that end where nothing is annotated may meet there, so they count as one.
    ending = np.zeros(len(piece_sizes) + 1, bool)
    ending[pieces[ndimage.binary_dilation(unknown)]] = True

    def count(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        apart = np.bincount(owner, chosen & ~ending[1:], minlength=len(ids))
        return (apart + (np.bincount(owner, chosen & ending[1:], minlength=len(ids)) > 0)).astype(
            np.int64
        )

    lower, upper = object_boxes(labels)
    return (
        np.bincount(owner, piece_sizes, minlength=len(ids)).astype(np.int64),
        upper - lower,
        count(piece_sizes >= LARGE_PIECE),
        count(np.ones(len(piece_sizes), bool)),
    )

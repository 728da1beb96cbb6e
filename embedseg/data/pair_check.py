"""Checks of one image and its mask."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.data.classes import MAX_CLASSES
from embedseg.data.options import DataOptions
from embedseg.data.problems import Finding, make_finding
from embedseg.data.samples import choose_spacing, split_frames
from embedseg.data.swapped import find_swap
from embedseg.images import (
    SPACE,
    Image,
    are_equal_colours,
    axis_lengths,
    count_channels,
    label_axes,
    read_image,
    space_axes,
    take_channels,
)
from embedseg.labels import (
    box_corners,
    contact_share,
    measure_pieces,
    object_elongations,
    object_ids,
)
from embedseg.types import NOT_ANNOTATED, DataError, Labels, Spacing

#: Pieces of a label below this number of pixels are specks.
LARGE_PIECE = 8


@dataclass(frozen=True)
class PairFacts:
    """Facts about one image and its mask.

    `sizes`, `extents`, `large_pieces` and `pieces` have a row per object, in pixels, and so have
    `elongations`; `contact` is the share of their outline that touches others. For a mask of
    classes they are empty, and `values` holds the pixels of each value. `ignored` is whether the
    mask has the value of `DataOptions.ignore_label`; `grey` whether the image has equal colours: a
    grey image that was saved as RGB or RGBA. Images with equal pixels have the same `digest`;
    it is empty for constant ones.
    """

    split: str
    image: Path
    mask: Path
    axes: str
    shape: tuple[int, ...]
    channels: int
    channel_names: tuple[str, ...]
    grey: bool
    dtype: str
    spacing: Spacing | None
    mask_dtype: str
    sizes: NDArray[np.int64]
    extents: NDArray[np.int64]
    large_pieces: NDArray[np.int64]
    pieces: NDArray[np.int64]
    elongations: NDArray[np.float64]
    contact: float
    values: Mapping[int, int]
    ignored: bool
    digest: str

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return len(space_axes(self.axes))


def check_pair(
    split: str,
    image_path: Path,
    mask_path: Path,
    options: DataOptions,
    findings: list[Finding],
    objects: bool = True,
) -> PairFacts | None:
    """Check one image and its mask; None if they cannot be read or do not fit.

    Parameters
    ----------
    split : str
    image_path, mask_path : Path
    options : DataOptions
    findings : list of Finding
        Problems are appended to it.
    objects : bool
        Whether masks hold objects, not classes.
    """
    try:
        image = read_image(image_path, options.axes)
        _check_type(image)
        if options.channels:
            image = take_channels(image, options.channels)
        spacing = choose_spacing(image, None, options)
        findings += _image_problems(image)
    except Exception as error:  # decoders raise anything on a broken file
        findings.append(make_finding("unreadable image", image_path, str(error)))
        return None
    try:
        mask = _read_mask(mask_path, image.axes)
        _check_type(mask)
        problem = _mask_error(mask, image, options)
    except Exception as error:
        findings.append(make_finding("unreadable mask", mask_path, str(error)))
        return None
    if problem:
        findings.append(problem)
        return None
    if mask.data.dtype.kind == "f":
        findings.append(make_finding("float mask", mask_path, f"{mask.data.dtype}"))
    frames = [_to_labels(frame[0], options.ignore_label) for frame in split_frames(mask)]
    for pixels, frame in zip(split_frames(image), frames, strict=True):
        if swap := find_swap(pixels, frame, objects=objects):
            kind, found = swap
            findings.append(make_finding(kind, mask_path, found))
            return None
    values: dict[int, int] = {}
    if objects:
        findings += _label_warnings(mask_path, frames)
        findings += _largest_value(mask, options)
        measured = [measure_objects(np.maximum(frame, 0), frame < 0) for frame in frames]
    else:
        counted = np.unique(np.stack(frames), return_counts=True)
        values = dict(zip(*(part.tolist() for part in counted), strict=True))
        findings += _class_problems(mask_path, values, options)
        measured = [measure_objects(np.zeros_like(frames[0]), frames[0] < 0)]
    known = spacing or mask.spacing or (1.0,) * frames[0].ndim
    shown = frames if objects else []
    sizes, extents, large_pieces, pieces = (
        np.concatenate(part) for part in zip(*measured, strict=True)
    )
    return PairFacts(
        split,
        image_path,
        mask_path,
        image.axes,
        axis_lengths(image.data.shape, image.axes, SPACE),
        count_channels(image),
        image.channels,
        not options.channels and _is_grey(image),
        str(image.data.dtype),
        spacing or mask.spacing,
        str(mask.data.dtype),
        sizes,
        extents,
        large_pieces,
        pieces,
        np.concatenate([np.zeros(0), *(object_elongations(frame, known) for frame in shown)]),
        float(np.mean([contact_share(frame) for frame in shown])) if shown else 0.0,
        values,
        bool((mask.data == options.ignore_label).any()),
        _digest(image.data),
    )


def _is_grey(image: Image) -> bool:
    """Return whether an image has equal colours."""
    if "C" not in image.axes:
        return False
    return are_equal_colours(np.moveaxis(image.data, image.axes.index("C"), 0))


def _check_type(image: Image) -> None:
    if image.data.dtype.kind not in "biuf":
        raise DataError(f"values of type {image.data.dtype}, expected integers or floats")


def _to_labels(data: NDArray[Any], ignore_label: int | None) -> Labels:
    labels = data.astype(np.int64)
    labels[labels == ignore_label] = NOT_ANNOTATED
    return labels.astype(np.int32)


def _image_problems(image: Image) -> Iterator[Finding]:
    data = image.data
    if infinite := int(np.isinf(data).sum()):
        yield make_finding("infinite values", image.path, f"{infinite} of {data.size} values")
        return
    missing = np.isnan(data)
    if "C" in image.axes:
        missing = missing.any(axis=image.axes.index("C"))
    if missing.all():
        yield make_finding("no image", image.path, "every pixel is NaN")
        return
    if missing.any():
        found = f"{np.count_nonzero(missing)} of {missing.size} pixels are NaN"
        yield make_finding("pixels without image", image.path, found)
    low, high = np.nanmin(data), np.nanmax(data)
    if low == high:
        yield make_finding("constant image", image.path, f"every value is {low}")


def _read_mask(path: Path, axes: str) -> Image:
    """Read a mask with the axes of its image, or if it has others, to report them, with these."""
    wanted = label_axes(axes)
    try:
        return read_image(path, wanted, as_stored=True)
    except Exception as error:
        for other in (None, "C" + wanted):
            try:
                mask = read_image(path, other, as_stored=True)
            except Exception:
                continue
            if mask.axes != wanted:
                return mask
        raise error


def _mask_error(mask: Image, image: Image, options: DataOptions) -> Finding | None:
    """Return the first error in a mask; further ones would follow from it."""
    data, axes = mask.data, mask.axes
    described = f"shape {data.shape} ({axes}), {data.dtype}"
    shape = axis_lengths(image.data.shape, image.axes, label_axes(image.axes))
    extra = axes.find("C") if "C" in axes else 0
    if data.shape[:extra] + data.shape[extra + 1 :] == shape:
        return make_finding(_channel_problem(data, data.shape[extra]), mask.path, described)
    if data.shape != shape:
        return make_finding(
            "shape mismatch", mask.path, f"{described}; image {image.data.shape} ({image.axes})"
        )
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        return make_finding("NaN or infinite values", mask.path, described)
    if data.dtype.kind == "f" and not np.array_equal(data, np.round(data)):
        return make_finding(
            "fractional mask",
            mask.path,
            f"{data.dtype}, values such as {data[data != np.round(data)].flat[0]:.4g}",
        )
    data = data[data != options.ignore_label] if options.ignore_label is not None else data
    # As Python's numbers: float16 holds no value as large as the limit.
    low, high = (data.min().item(), data.max().item()) if data.size else (0, 0)
    if low < NOT_ANNOTATED or high > np.iinfo(np.int32).max:
        return make_finding("invalid label values", mask.path, f"values from {low} to {high}")
    return None


def _channel_problem(data: NDArray[Any], channels: int) -> str:
    if channels in (3, 4) and data.max() > 1:
        return "RGB mask"
    return "one-hot mask" if len(np.unique(data)) <= 2 else "mask with channels"


def _label_warnings(path: Path, frames: Sequence[Labels]) -> Iterator[Finding]:
    if max(int(frame.max()) for frame in frames) <= 0:
        annotated = any((frame == 0).any() for frame in frames)
        yield make_finding("empty mask", path, "no objects" if annotated else "nothing but -1")
    if gaps := sum(int(ids[-1]) - len(ids) for ids in map(object_ids, frames) if len(ids)):
        yield make_finding(
            "gaps in numbering", path, f"{gaps} numbers below the highest are not used"
        )


def _digest(data: NDArray[Any]) -> str:
    """Return what pixels have in common with equal ones only; empty for a constant image."""
    varied = data.size and (data != data.flat[0]).any()
    return hashlib.blake2b(np.ascontiguousarray(data).data).hexdigest() if varied else ""


def _largest_value(mask: Image, options: DataOptions) -> Iterator[Finding]:
    """Find labels that may have been -1 before they were saved as 16 bits without a sign."""
    largest = np.iinfo(np.uint16).max
    if mask.data.dtype != np.uint16 or options.ignore_label == largest:
        return
    pixels = int((mask.data == largest).sum())
    if pixels and len(np.unique(mask.data)) < largest / 2:
        yield make_finding(
            "largest value of the type", mask.path or "", f"{pixels} pixels are {largest}"
        )


def _class_problems(
    path: Path, values: Mapping[int, int], options: DataOptions
) -> Iterator[Finding]:
    present = [value for value in values if value > NOT_ANNOTATED]
    if not present:
        yield make_finding("empty mask", path, "nothing but -1")
    if options.classes:
        known = [value for each in options.classes for value in each.values]
        if unknown := [value for value in present if value not in known]:
            yield make_finding("value without class", path, ", ".join(map(str, unknown[:10])))
    elif len(present) > MAX_CLASSES:
        yield make_finding("too many classes", path, f"{len(present)} values")


def measure_objects(labels: Labels, unknown: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """Return size, extent, number of large pieces and number of pieces of each object."""
    from scipy import ndimage

    pieces, piece_sizes, owners = measure_pieces(labels)
    ids, owner = np.unique(owners, return_inverse=True)
    # Pieces that touch pixels that are not annotated may meet there, so they count as one.
    ending = np.zeros(len(piece_sizes) + 1, bool)
    ending[pieces[ndimage.binary_dilation(unknown)]] = True

    def count(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        inside = np.bincount(owner, chosen & ~ending[1:], minlength=len(ids))
        at_end = np.bincount(owner, chosen & ending[1:], minlength=len(ids)) > 0
        return (inside + at_end).astype(np.int64)

    lower, upper = box_corners(labels)
    return (
        np.bincount(owner, piece_sizes, minlength=len(ids)).astype(np.int64),
        upper - lower,
        count(piece_sizes >= LARGE_PIECE),
        count(np.ones(len(piece_sizes), bool)),
    )

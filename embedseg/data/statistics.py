"""Statistics of a data set, as planning uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.data.classes import ClassOptions
from embedseg.data.samples import Sample, common_channels
from embedseg.labels import (
    box_corners,
    complete_axes,
    contact_share,
    object_elongations,
    object_sizes,
    object_widths,
)
from embedseg.types import Labels, Spacing


@dataclass(frozen=True)
class Statistics:
    """Statistics of a data set.

    Attributes
    ----------
    ndim, channels : int
        Space axes and channels.
    spacing : tuple of float
        Median over the images that have one, µm; 1.0 if unknown.
    spacing_known : bool
        Whether any image has a spacing.
    shapes : tuple of tuple of int
        Space shape of each image.
    extents : (n, ndim) float64 ndarray
        Size of the bounding box of each object, in pixels of `spacing`. Along an axis on which an
        object is partially annotated, its largest known extent in µm is used; objects without a
        known axis are left out.
    volumes : (n,) float64 ndarray
        Size of each of these objects, in pixels of `spacing`, scaled up with the extent.
    widths : (n,) float64 ndarray
        Width of each object, the diameter of the largest ball inside, µm.
    elongation : float
        How many times as long as wide objects are, median; 1 without objects.
    contact : float
        Share of the objects' surface that touches other objects, mean over images with objects.
    counts : tuple of int
        Objects of each image.
    foreground_fraction : float
        Share of the annotated pixels that belong to objects.
    classes : tuple of ClassOptions
        Classes of masks that hold classes; then there are no objects.
    frequencies : tuple of float
        Share of the annotated pixels that belong to each class.
    channel_names : tuple of str
        Names of several channels, if all images have the same.
    """

    ndim: int
    channels: int
    spacing: Spacing
    spacing_known: bool
    shapes: tuple[tuple[int, ...], ...]
    extents: NDArray[np.float64]
    volumes: NDArray[np.float64]
    counts: tuple[int, ...]
    foreground_fraction: float
    widths: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    elongation: float = 1.0
    contact: float = 0.0
    classes: tuple[ClassOptions, ...] = ()
    frequencies: tuple[float, ...] = ()
    channel_names: tuple[str, ...] = ()


def compute_statistics(
    samples: Sequence[Sample], classes: Sequence[ClassOptions] | None = None
) -> Statistics:
    """Compute the statistics of samples; `classes` are those of semantic masks.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, -1], [1, 0, 0, 2]], np.int32)
    >>> stats = compute_statistics([Sample("a", labels[None].astype(np.float32), labels)])
    >>> stats.extents.tolist(), stats.volumes.tolist(), round(stats.foreground_fraction, 2)
    ([[2.0, 2.0], [1.0, 1.0]], [3.0, 1.0], 0.57)
    """
    ndim = samples[0].labels.ndim
    known = [sample.spacing for sample in samples if sample.spacing is not None]
    spacing = tuple(float(s) for s in np.median(known, axis=0)) if known else (1.0,) * ndim
    extents: list[NDArray[Any]] = [np.zeros((0, ndim))]
    volumes: list[NDArray[Any]] = [np.zeros(0)]
    counts: list[int] = []
    widths, elongations, contacts = [np.zeros(0)], [np.zeros(0)], []
    for sample in samples:
        if classes:
            counts.append(0)
            continue
        scale = np.divide(sample.spacing or spacing, spacing)
        lower, upper = box_corners(sample.labels)
        step = np.asarray(sample.spacing or spacing)
        extent, volume = _complete_sizes(sample.labels, upper - lower, step)
        extents.append(extent * scale)
        volumes.append(volume * np.prod(scale))
        counts.append(len(lower))
        widths.append(object_widths(sample.labels, tuple(step)))
        elongations.append(object_elongations(sample.labels, tuple(step), widths[-1]))
        if len(lower):
            contacts.append(contact_share(sample.labels))
    annotated = sum(int((sample.labels >= 0).sum()) for sample in samples)
    foreground = sum(int((sample.labels > 0).sum()) for sample in samples)
    return Statistics(
        ndim,
        len(samples[0].image),
        spacing,
        bool(known),
        tuple(sample.labels.shape for sample in samples),
        np.concatenate(extents),
        np.concatenate(volumes),
        tuple(counts),
        foreground / max(annotated, 1),
        np.concatenate(widths),
        float(np.median(np.concatenate(elongations))) if contacts else 1.0,
        float(np.mean(contacts)) if contacts else 0.0,
        tuple(classes or ()),
        _frequencies(samples, len(classes or ())),
        common_channels(samples) if len(samples[0].image) > 1 else (),
    )


def _frequencies(samples: Sequence[Sample], classes: int) -> tuple[float, ...]:
    counts = sum(
        (
            np.bincount(sample.labels[sample.labels >= 0], minlength=classes)
            for sample in samples
            if classes
        ),
        np.zeros(classes),
    )
    return tuple(float(count) for count in counts / max(counts.sum(), 1))


def _complete_sizes(
    labels: Labels, extents: NDArray[np.int64], spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return extents and sizes, in pixels; partially annotated objects are taken to be round."""
    known = complete_axes(labels)
    some = known.any(axis=1)
    longest = np.where(known, extents * spacing, 0).max(axis=1, initial=0)
    whole = np.where(known, extents, np.maximum(extents, longest[:, None] / spacing))
    volumes = object_sizes(labels).astype(np.float64)
    if not known.all():
        # Planes between annotated ones are unknown: count only the planes with the object.
        planes = np.stack([_count_planes(labels, axis) for axis in range(labels.ndim)], axis=1)
        volumes *= np.where(known, 1, whole / planes).prod(axis=1)
    return whole[some], volumes[some]


def _count_planes(labels: Labels, axis: int) -> NDArray[np.int64]:
    """Count the planes along an axis on which each object lies."""
    planes = np.moveaxis(labels, axis, 0)
    ids = np.concatenate([np.unique(plane[plane > 0]) for plane in planes])
    return np.unique(ids, return_counts=True)[1]

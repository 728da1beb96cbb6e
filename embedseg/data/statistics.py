"""Statistics of a data set, as planning uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg import labels as lab
from embedseg.data.classes import ClassOptions
from embedseg.data.samples import Sample
from embedseg.labels import object_boxes
from embedseg.types import Spacing


@dataclass(frozen=True)
class Statistics:
    """What planning needs to know of a data set.

    Attributes
    ----------
    ndim, channels : int
        Space axes and channels.
    spacing : tuple of float
        Median over the images that have one, µm; 1.0 where nothing is known.
    spacing_known : bool
        Whether any image has a spacing.
    shapes : tuple of tuple of int
        Space shape of each image.
    extents : (n, ndim) float64 ndarray
        Size of the bounding box of each object, in pixels of `spacing`. Along an axis on which an
        object is annotated in part, its longest known one in µm stands in; objects of which no
        axis is known are left out.
    volumes : (n,) float64 ndarray
        Size of each of these objects, in pixels of `spacing`, raised where the extent was.
    counts : tuple of int
        Objects of each image.
    foreground_fraction : float
        Share of the annotated pixels that belong to objects.
    classes : tuple of ClassOptions
        Where masks hold classes instead of objects; then nothing is known of objects.
    frequencies : tuple of float
        Share of the annotated pixels that belong to each class.
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
    classes: tuple[ClassOptions, ...] = ()
    frequencies: tuple[float, ...] = ()


def compute_statistics(
    samples: Sequence[Sample], classes: Sequence[ClassOptions] | None = None
) -> Statistics:
    """Measure samples for planning; `classes` are those of their masks, if they hold classes.

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
    counts = []
    for sample in samples:
        if classes:
            counts.append(0)
            continue
        scale = np.divide(sample.spacing or spacing, spacing)
        lower, upper = object_boxes(sample.labels)
        extent, volume = _whole(sample.labels, upper - lower, np.asarray(sample.spacing or spacing))
        extents.append(extent * scale)
        volumes.append(volume * np.prod(scale))
        counts.append(len(lower))
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
        tuple(classes or ()),
        _frequencies(samples, len(classes or ())),
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


def _whole(
    labels: NDArray[np.int32], extents: NDArray[np.int64], spacing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return extents and sizes, in pixels; objects annotated in part are taken to be round."""
    known = lab.known_axes(labels)
    some = known.any(axis=1)
    longest = np.where(known, extents * spacing, 0).max(axis=1, initial=0)
    whole = np.where(known, extents, np.maximum(extents, longest[:, None] / spacing))
    volumes = lab.object_sizes(labels).astype(np.float64)
    if not known.all():
        # Of the planes between annotated ones nothing is known: count those that are there.
        planes = np.stack([_planes_of(labels, axis) for axis in range(labels.ndim)], axis=1)
        volumes *= np.where(known, 1, whole / planes).prod(axis=1)
    return whole[some], volumes[some]


def _planes_of(labels: NDArray[np.int32], axis: int) -> NDArray[np.int64]:
    """Return on how many planes along an axis each object lies."""
    planes = np.moveaxis(labels, axis, 0)
    there = np.concatenate([np.unique(plane[plane > 0]) for plane in planes])
    return np.unique(there, return_counts=True)[1]

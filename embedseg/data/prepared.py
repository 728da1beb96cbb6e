"""Samples prepared for a net: normalised, cut to its axes, in its spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embedseg.data.samples import Sample, resample_sample, split_planes
from embedseg.geometry import check_spacing
from embedseg.images import Normalization
from embedseg.types import (
    NOT_ANNOTATED,
    DataError,
    Spacing,
    check_image,
    fill_missing,
    missing_pixels,
)


def prepare_samples(
    samples: Sequence[Sample],
    *,
    ndim: int,
    channels: int,
    normalize: Normalization,
    spacing: Spacing | None,
    any_spacing: bool = False,
) -> list[Sample]:
    """Normalise whole images, cut volumes into planes for a 2D net, bring to one spacing.

    Pixels without image become 0, and not annotated.

    Parameters
    ----------
    samples : sequence of Sample
        As they were read.
    ndim, channels : int
        Space axes of the net, and channels of its images.
    normalize : Normalization
    spacing : tuple of float or None
        Spacing of the net, µm; None: samples are not resampled.
    any_spacing : bool
        Whether samples may have pixels of any size.

    Raises
    ------
    DataError, UsageError
        If a sample has other axes or channels than the net, or pixels of another magnitude.
    """
    prepared = []
    for sample in samples:
        image = check_image(sample.image, sample.labels.ndim, channels, str(sample.path))
        normal = replace(sample, image=normalize.apply(image))
        if sample.labels.ndim == ndim + 1:
            parts = split_planes(normal)
        elif sample.labels.ndim == ndim:
            parts = [normal]
        else:
            raise DataError(f"{sample.path}: {sample.labels.ndim}D, the model is {ndim}D")
        if spacing is not None and sample.spacing is not None:
            name = str(sample.path or sample.name)
            check_spacing(sample.spacing[-ndim:], spacing, name, any_spacing=any_spacing)
        parts = [part if spacing is None else resample_sample(part, spacing) for part in parts]
        prepared += [_without_missing(part) for part in parts]
    return prepared


def _without_missing(sample: Sample) -> Sample:
    """Return a sample with 0 in place of NaN, and no annotation there."""
    missing = missing_pixels(sample.image)
    if not missing.any():
        return sample
    labels = np.where(missing, NOT_ANNOTATED, sample.labels)
    return sample.with_labels(labels, image=fill_missing(sample.image))

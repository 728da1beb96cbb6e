"""Samples prepared for a net: normalised, cut to its axes, in its spacing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from embedseg.data.samples import Sample, resample_sample, split_planes
from embedseg.geometry import check_spacing
from embedseg.images import Normalization
from embedseg.types import DataError, Spacing, check_image


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
        prepared += [part if spacing is None else resample_sample(part, spacing) for part in parts]
    return prepared

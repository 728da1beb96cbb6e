"""A 2D net on the planes of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from embedseg.common import Progress, open_bar
from embedseg.geometry import lift_offset
from embedseg.nets import evaluating, fused_for_inference
from embedseg.prediction.averaging import from_average, to_average, to_float16
from embedseg.prediction.options import PredictOptions
from embedseg.prediction.tiles import TiledNet, to_maps
from embedseg.types import (
    DataError,
    Floats,
    Maps,
    MapSpec,
    PerAxis,
    Spacing,
    UsageError,
    channel_slices,
    fill_missing,
    missing_pixels,
)


def predict_planes(
    net: nn.Module,
    volume: Floats,
    *,
    specs: tuple[MapSpec, ...],
    volume_specs: tuple[MapSpec, ...],
    spacing: Spacing,
    options: PredictOptions | None = None,
    directions: PerAxis = (0, 1, 2),
    device: str | torch.device = "cpu",
    progress: Progress = False,
) -> Maps:
    """Apply a 2D net to all XY, XZ and YZ planes of a volume and average.

    A plane shows two of the three components of a vector or an extent: each component is the mean
    over the two planes through a voxel that saw it, a scalar the mean over all three.

    Parameters
    ----------
    net : nn.Module
        A 2D net with a `divisor`.
    volume : (C, Z, Y, X) float32 ndarray
        Normalised, NaN as in `predict`; of nearly isotropic spacing, unless only XY planes are
        taken.
    specs, volume_specs : tuple of MapSpec
        Maps of the net, and the same maps in 3D.
    spacing : tuple of float
        µm per voxel along Z, Y, X.
    directions : tuple of int
        Axes across which planes are taken: (0,) are XY planes, enough for scalars alone.
    options, device, progress
        As in `predict`.

    Returns
    -------
    Maps
        3D.

    Raises
    ------
    DataError
        If the volume does not fit.
    UsageError
        If no plane shows some component of a map.
    """
    if volume.ndim != 4 or len(spacing) != 3:
        raise DataError(
            f"volume of shape {volume.shape} and spacing {spacing}: expected "
            "(C, Z, Y, X) and three values"
        )
    missing, volume = missing_pixels(volume), fill_missing(volume)
    total = np.zeros((sum(spec.channels for spec in volume_specs), *volume.shape[1:]), np.float32)
    counts = np.zeros((len(total), 1, 1, 1), np.float32)
    planes = sum(volume.shape[1 + axis] for axis in directions)
    with evaluating(net), open_bar(progress, "predict", "plane", planes) as bar:
        for axis in directions:
            seen = tuple(other for other in range(3) if other != axis)
            tiled = TiledNet(
                fused_for_inference(net),
                specs,
                tuple(spacing[other] for other in seen),
                options or PredictOptions(),
                torch.device(device),
                None,
            )
            channels = _lifted(specs, volume_specs, seen)
            counts[channels] += 1
            slots = np.moveaxis(total, axis + 1, 1)
            for index, plane in enumerate(np.moveaxis(volume, axis + 1, 0)):
                slots[channels, index] += to_average(tiled.maps(plane, np.float32), specs)
                bar.update()
    if not counts.all():
        raise UsageError(
            f"planes across axes {tuple(directions)} do not show all components of "
            f"{[spec.name for spec in volume_specs]}"
        )
    total /= counts
    maps = to_maps(to_float16(from_average(total, volume_specs)), volume_specs, spacing)
    maps.data[:, missing] = np.nan
    return maps


def _lifted(
    specs: tuple[MapSpec, ...], volume_specs: tuple[MapSpec, ...], seen: PerAxis
) -> NDArray[np.intp]:
    """Return which channel of a volume's maps each channel of a plane's maps belongs to."""
    slices = channel_slices(volume_specs)
    return np.array(
        [
            slices[spec.name].start + place
            for spec, volume_spec in zip(specs, volume_specs, strict=True)
            for place in _places(spec, volume_spec, seen)
        ]
    )


def _places(spec: MapSpec, volume_spec: MapSpec, seen: PerAxis) -> Sequence[int]:
    """Return which channel of a volume's map each channel of a plane's map is."""
    if spec.kind == "scalar":
        return range(spec.channels)
    if spec.kind != "affinity":
        return seen[: spec.channels]
    across = next(axis for axis in range(3) if axis not in seen)
    return [volume_spec.offsets.index(lift_offset(offset, across)) for offset in spec.offsets]

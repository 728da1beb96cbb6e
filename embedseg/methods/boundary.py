"""Boundary method: components or watershed of boundary maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import edt
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from skimage.morphology import local_maxima
from skimage.segmentation import watershed
from torch import Tensor, nn

from embedseg.geometry import gaussian_smooth
from embedseg.labels import drop_small, label_pieces, relabel
from embedseg.methods.base import MOST_WEIGHT, JoinName
from embedseg.methods.instances import (
    InstanceMethod,
    describe_smallest,
    sizes_to_try,
    smallest_object,
)
from embedseg.methods.losses import dice, full_precision, masked_bce
from embedseg.methods.pieces import describe_pieces
from embedseg.types import NOT_ANNOTATED, Floats, Maps, MapSpec, Mask, Segmentation, Spacing

if TYPE_CHECKING:
    from embedseg.data import Statistics


class Boundary(InstanceMethod):
    """Foreground and boundary of objects, split by connected components or a watershed.

    Attributes
    ----------
    thickness : float
        Pixels of an object are its boundary up to this distance from other objects or background,
        in units of the finest spacing.
    boundary_weight : float
        Weight of the boundary's part of the loss.
    decoder : {"components", "watershed", "boundary-watershed"}
        Seeds of objects: pieces of the foreground without the boundary; maxima of the distance to
        pixels outside of them; or minima of the smoothed boundary map. From there objects grow over
        the foreground: along the boundary map, or along the distance for "watershed".
    fg_threshold, boundary_threshold : float
        Foreground is above the first; seeds have a boundary value below the second.
    sigma : float
        Gaussian smoothing before extrema are sought, pixels of the finest axis.
    min_object_size, confidence, min_score
        See `embedseg.methods.instances.InstanceMethod`.

    References
    ----------
    Ronneberger et al.: U-Net, arXiv:1505.04597.
    Wolny et al.: Accurate and versatile 3D segmentation of plant tissues at cellular resolution,
    eLife 9:e57613, 2020.

    Examples
    --------
    >>> [spec.name for spec in Boundary().maps(ndim=3)]
    ['foreground', 'boundary']
    """

    type: Literal["boundary"] = "boundary"
    join: ClassVar[JoinName] = "faces"

    thickness: float = Field(default=1.5, ge=1, le=1000)
    boundary_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    decoder: Literal["components", "watershed", "boundary-watershed"] = Field(
        default="components",
        description="Where objects begin: pieces without the boundary, "
        "middles of these pieces, or basins of the boundary map.",
    )
    fg_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Pixels above this are foreground."
    )
    boundary_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Objects begin where the boundary is below this."
    )
    sigma: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Smoothing before the beginnings of objects are sought, "
        "pixels of the finest axis.",
    )

    def plan(self, stats: Statistics) -> Self:
        """Take the smallest object from the data."""
        return self.model_copy(update={"min_object_size": smallest_object(stats)})

    def reasons(self, unit: str) -> list[str]:
        """Describe the boundary and the smallest object."""
        return [
            f"boundary: {self.thickness:g} px thick, inside the objects",
            describe_smallest(self.min_object_size),
        ]

    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return the two maps, from one branch."""
        return (
            MapSpec("foreground", "scalar", 1, "sigmoid", average="activated"),
            MapSpec("boundary", "scalar", 1, "sigmoid", average="activated"),
        )

    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return foreground and boundary, (*space) int8: 1, 0, or -1 where not known."""
        steps, reach = tuple(spacing), self.thickness * min(spacing) * 1.001
        objects = np.maximum(labels, 0).astype(np.uint32)
        edge = (labels > 0) & (edt.edt(objects, anisotropy=steps) <= reach)
        boundary = np.where(labels < 0, NOT_ANNOTATED, edge)
        if (labels < 0).any():
            # Beside pixels that are not annotated, the end of an object is not known either.
            unsure = edt.edt(labels >= 0, anisotropy=steps) <= reach
            boundary[edge & unsure] = NOT_ANNOTATED
        foreground = np.where(labels < 0, NOT_ANNOTATED, labels > 0)
        return {
            "foreground": torch.from_numpy(foreground.astype(np.int8)),
            "boundary": torch.from_numpy(boundary.astype(np.int8)),
        }

    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Set the bias so that foreground and boundary start at a probability of 0.12."""
        bias = head.bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():
            bias.fill_(-2.0)

    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return cross entropy plus Dice loss, for foreground and boundary."""
        raw = full_precision(raw)
        parts = {
            name: masked_bce(raw[:, k], targets[name]) + dice(raw[:, k].sigmoid(), targets[name])
            for k, name in enumerate(("foreground", "boundary"))
        }
        total = parts["foreground"] + self.boundary_weight * parts["boundary"]
        return {**parts, "total": total}

    def decode(self, maps: Maps) -> Segmentation:
        """Grow objects from their seeds."""
        # NaN are pixels without image: objects end there.
        foreground = np.nan_to_num(maps["foreground"][0], nan=0)
        boundary = np.nan_to_num(maps["boundary"][0], nan=1)
        inside = foreground > self.fg_threshold
        grown = DECODERS[self.decoder](self, inside, boundary, maps.spacing)
        labels = relabel(drop_small(grown.astype(np.int32), self.min_object_size + 1))
        return self.judged(labels, describe_pieces(labels, foreground, boundary, maps))

    def search_space(self) -> dict[str, Sequence[Any]]:
        """Vary the thresholds, the decoder, and the smallest object."""
        return {
            "boundary_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
            "fg_threshold": (0.3, 0.4, 0.5, 0.6, 0.7),
            "decoder": tuple(DECODERS),
            "sigma": (0.5, 1.0, 2.0, 3.0),
            "min_object_size": sizes_to_try(self.min_object_size),
        }


def _components(method: Boundary, inside: Mask, boundary: Floats, spacing: Spacing) -> NDArray[Any]:
    core = inside & (boundary < method.boundary_threshold)
    return _grow(boundary, label_pieces(core), inside)


def _distance_watershed(
    method: Boundary, inside: Mask, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    core = inside & (boundary < method.boundary_threshold)
    # Where all is core, the distance is infinite.
    longest = float(np.dot(core.shape, spacing))
    distance = np.minimum(edt.edt(core, anisotropy=tuple(spacing)), longest)
    distance = gaussian_smooth(distance, method.sigma, spacing)
    return _grow(-distance, label_pieces(_maxima(distance) & core), inside)


def _boundary_watershed(
    method: Boundary, inside: Mask, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    smooth = gaussian_smooth(boundary, method.sigma, spacing)
    core = inside & (smooth < method.boundary_threshold)
    return _grow(smooth, label_pieces(_maxima(-smooth) & core), inside)


#: Decoders by name: from foreground and boundary map to labels.
DECODERS: dict[str, Callable[[Boundary, Mask, Floats, Spacing], NDArray[Any]]] = {
    "components": _components,
    "watershed": _distance_watershed,
    "boundary-watershed": _boundary_watershed,
}


def _maxima(values: Floats) -> Mask:
    """Return the local maxima; values that are all the same are one."""
    framed = np.pad(values, 1, constant_values=-np.inf)
    maxima = np.asarray(local_maxima(framed), np.bool_)  # type: ignore[no-untyped-call]
    return maxima[(slice(1, -1),) * values.ndim]


def _grow(height: Floats, markers: NDArray[Any], inside: Mask) -> NDArray[Any]:
    return np.asarray(watershed(height, markers, mask=inside))  # type: ignore[no-untyped-call]

"""Boundary method: components, watershed or graph partition of boundary maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import edt
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from skimage.segmentation import watershed
from torch import Tensor, nn

from embedseg.geometry import gaussian_smooth
from embedseg.labels import drop_small, label_pieces, relabel
from embedseg.methods.base import MOST_WEIGHT, JoinName
from embedseg.methods.graph_decoding import gasp, has_graphs, join_small, multicut
from embedseg.methods.instances import (
    InstanceMethod,
    describe_smallest,
    sizes_to_try,
    smallest_object,
)
from embedseg.methods.losses import dice, full_precision, masked_bce
from embedseg.methods.pieces import describe_pieces
from embedseg.methods.supervoxels import (
    RegionGraph,
    SupervoxelOptions,
    find_maxima,
    graph_of,
)
from embedseg.types import (
    NOT_ANNOTATED,
    Floats,
    Indices,
    Maps,
    MapSpec,
    Mask,
    Segmentation,
    Spacing,
)

if TYPE_CHECKING:
    from embedseg.data import Statistics


#: A supervoxel may be this many times smaller than the smallest object.
SUPERVOXELS = 4
#: Smoothing of the boundary before supervoxels are sought, as a share of its thickness.
SMOOTHED = 2 / 3
#: Planes are split by themselves if they are this many times thicker than their pixels.
THICK = 4


class Boundary(InstanceMethod):
    """Foreground and boundary of objects, split by components, a watershed or a graph partition.

    Attributes
    ----------
    thickness : float
        Pixels of an object are its boundary up to this distance from other objects or background,
        in units of the finest spacing.
    boundary_weight : float
        Weight of the boundary's part of the loss.
    decoder : {"components", "watershed", "boundary-watershed", "multicut", "gasp"}
        Seeds of objects: pieces of the foreground without the boundary; maxima of the distance to
        pixels outside of them; or minima of the smoothed boundary map. From there objects grow over
        the foreground: along the boundary map, or along the distance for "watershed". "multicut"
        and "gasp" split the foreground into supervoxels and join those that no boundary separates,
        see `embedseg.methods.graph_decoding`; objects that are too small are joined to a neighbour.
    fg_threshold, boundary_threshold : float
        Foreground is above the first; seeds have a boundary value below the second.
    sigma : float
        Gaussian smoothing before extrema are sought, pixels of the finest axis.
    beta : float
        For "multicut" and "gasp": the higher, the more objects. Supervoxels with a boundary of
        1 - beta, as `RegionGraph` measures it, neither attract nor repel each other.
    supervoxel_size : int
        Supervoxels of fewer pixels are given to their neighbours.
    supervoxel_planes : bool
        Whether the planes of a volume are split into supervoxels one by one.
    min_object_size, confidence, min_score
        See `embedseg.methods.instances.InstanceMethod`.

    References
    ----------
    Ronneberger et al.: U-Net, arXiv:1505.04597.
    Wolny et al.: Accurate and versatile 3D segmentation of plant tissues at cellular resolution,
    eLife 9:e57613, 2020.
    Beier et al.: Multicut brings automated neurite segmentation closer to human performance,
    Nature Methods 14:101-102, 2017.

    Examples
    --------
    >>> [spec.name for spec in Boundary().maps(ndim=3)]
    ['foreground', 'boundary']
    """

    type: Literal["boundary"] = "boundary"
    join: ClassVar[JoinName] = "faces"
    whole_only: ClassVar[Mapping[str, Sequence[Any]]] = {"decoder": ("multicut", "gasp")}
    only_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "sigma": ("decoder", ("watershed", "boundary-watershed", "multicut", "gasp")),
        "beta": ("decoder", ("multicut", "gasp")),
        "supervoxel_size": ("decoder", ("multicut", "gasp")),
    }

    thickness: float = Field(default=1.5, ge=1, le=1000)
    boundary_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    decoder: Literal["components", "watershed", "boundary-watershed", "multicut", "gasp"] = Field(
        default="components",
        description="Where objects begin: pieces without the boundary, middles of these pieces, or "
        "basins of the boundary map; or small regions joined by a multicut or an agglomeration "
        "(gasp), for objects that touch everywhere.",
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
    beta: float = Field(
        default=0.65,
        ge=0.01,
        le=0.99,
        description="Multicut and gasp: the higher, the more objects.",
    )
    supervoxel_size: int = Field(
        default=0,
        ge=0,
        le=10**9,
        description="Multicut and gasp: smaller regions are given to their neighbours, pixels.",
    )
    supervoxel_planes: bool = Field(
        default=False,
        description="Multicut and gasp: split each plane of a volume into regions by itself.",
    )

    def plan(self, stats: Statistics) -> Self:
        """Take the smallest object and supervoxel, and whether planes are apart, from the data."""
        smallest = smallest_object(stats)
        sizes = {"min_object_size": smallest, "supervoxel_size": smallest // SUPERVOXELS}
        planes = stats.ndim == 3 and stats.spacing[0] > THICK * min(stats.spacing[1:])
        return self.model_copy(update={**sizes, "supervoxel_planes": planes})

    def reasons(self, unit: str) -> list[str]:
        """Describe the boundary and the smallest object."""
        planes = ", plane by plane" if self.supervoxel_planes else ""
        return [
            f"boundary: {self.thickness:g} px thick, inside the objects",
            describe_smallest(self.min_object_size),
            f"smallest supervoxel: {self.supervoxel_size} px{planes}, for multicut and gasp",
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
        grown = DECODERS[self.decoder](self, foreground, boundary, maps.spacing)
        labels = relabel(drop_small(grown.astype(np.int32), self.min_object_size + 1))
        return self.judged(labels, describe_pieces(labels, foreground, boundary, maps))

    def search_space(self) -> dict[str, Sequence[Any]]:
        """Vary the thresholds, the decoder, and the smallest object."""
        return {
            "boundary_threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
            "fg_threshold": (0.3, 0.4, 0.5, 0.6, 0.7),
            "decoder": tuple(
                name for name in DECODERS if has_graphs() or name not in GRAPH_DECODERS
            ),
            "sigma": (0.5, 1.0, 2.0, 3.0),
            "beta": (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9),
            "supervoxel_size": sizes_to_try(self.supervoxel_size),
            "min_object_size": sizes_to_try(self.min_object_size),
        }


def _components(
    method: Boundary, foreground: Floats, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    inside = foreground > method.fg_threshold
    core = inside & (boundary < method.boundary_threshold)
    return _grow(boundary, label_pieces(core), inside)


def _distance_watershed(
    method: Boundary, foreground: Floats, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    inside = foreground > method.fg_threshold
    core = inside & (boundary < method.boundary_threshold)
    # Where all is core, the distance is infinite.
    longest = float(np.dot(core.shape, spacing))
    distance = np.minimum(edt.edt(core, anisotropy=tuple(spacing)), longest)
    distance = gaussian_smooth(distance, method.sigma, spacing)
    return _grow(-distance, label_pieces(find_maxima(distance) & core), inside)


def _boundary_watershed(
    method: Boundary, foreground: Floats, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    inside = foreground > method.fg_threshold
    smooth = gaussian_smooth(boundary, method.sigma, spacing)
    core = inside & (smooth < method.boundary_threshold)
    return _grow(smooth, label_pieces(find_maxima(-smooth) & core), inside)


def _join_supervoxels(
    method: Boundary, foreground: Floats, boundary: Floats, spacing: Spacing
) -> NDArray[Any]:
    options = SupervoxelOptions(
        method.fg_threshold,
        method.boundary_threshold,
        method.thickness * SMOOTHED,
        method.sigma,
        method.supervoxel_size,
        method.supervoxel_planes,
    )
    graph = graph_of(foreground, boundary, spacing, options)
    clusters = GRAPH_DECODERS[method.decoder](graph, method.beta)
    return graph.paint(join_small(graph, clusters, method.min_object_size))


#: Decoders that join supervoxels, by name: from their graph and `beta` to clusters.
GRAPH_DECODERS: dict[str, Callable[[RegionGraph, float], Indices]] = {
    "multicut": multicut,
    "gasp": gasp,
}

#: Decoders by name: from foreground and boundary map to labels.
DECODERS: dict[str, Callable[[Boundary, Floats, Floats, Spacing], NDArray[Any]]] = {
    "components": _components,
    "watershed": _distance_watershed,
    "boundary-watershed": _boundary_watershed,
    **dict.fromkeys(GRAPH_DECODERS, _join_supervoxels),
}


def _grow(height: Floats, markers: NDArray[Any], inside: Mask) -> NDArray[Any]:
    return np.asarray(watershed(height, markers, mask=inside))  # type: ignore[no-untyped-call]

"""Affinity method: whether two pixels belong to one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn

from embedseg.geometry import gaussian_smooth, lift_offset, paired_boxes
from embedseg.labels import drop_small, relabel
from embedseg.methods.base import MOST_WEIGHT, JoinName
from embedseg.methods.graph_decoding import join_small, multicut
from embedseg.methods.instances import (
    InstanceMethod,
    describe_smallest,
    sizes_to_try,
    smallest_object,
)
from embedseg.methods.losses import dice, full_precision, masked_bce
from embedseg.methods.pieces import describe_pieces
from embedseg.methods.supervoxels import (
    SupervoxelOptions,
    build_affinity_graph,
    build_supervoxels,
    graph_library,
)
from embedseg.types import NOT_ANNOTATED, Floats, Maps, MapSpec, Segmentation, Spacing

if TYPE_CHECKING:
    from embedseg.data import Statistics

#: A step along each axis, in pixels.
Offset = tuple[Annotated[int, Field(ge=-1000, le=1000)], ...]

#: Lengths of the longer steps unless they are planned, pixels.
LENGTHS = (3, 9)
#: Supervoxels begin where the lack of affinity, smoothed by some pixels, is below this.
EDGE, SMOOTHING = 0.5, 1.0
#: Lengths that are planned, in units of the width of an object, and bounds of them, pixels of the
#: finest axis. A net sees no farther than its halo.
SHARES, LEAST, MOST = (0.33, 1.0), 2, 16


class Affinity(InstanceMethod):
    """Affinities of pixel pairs, grouped by a mutex watershed or a multicut.

    Attributes
    ----------
    offsets : tuple of tuple of int
        Steps from the first pixel of a pair to the second, along each axis. The first ones, as many
        as there are axes, lead to the neighbours. Default: neighbours, and 3 and 9 pixels.
    affinity_weight : float
        Weight of the affinities' part of the loss.
    decoder : {"mutex", "multicut"}
        How pixels are grouped. "mutex": neighbours attract each other by their affinity, pixels
        farther apart repel each other by its lack; the strongest pair decides first. "multicut":
        supervoxels are joined by the mean affinity of all pairs across their common face.
    fg_threshold : float
        Objects lie where the foreground is above this.
    repulsion : float
        Weight of the repulsion against the attraction: above 1 more objects, below fewer.
    stride : int
        Of the repelling pairs only those that begin at every n-th pixel along each axis count.
    beta : float
        For "multicut": the higher, the more objects; at 0.5 supervoxels with a mean affinity of 0.5
        neither attract nor repel each other.
    min_object_size, confidence, min_score
        See `embedseg.methods.instances.InstanceMethod`.

    References
    ----------
    Wolf et al.: The Mutex Watershed and its objective: efficient, parameter-free graph
    partitioning, TPAMI 43(10):3724-3738, 2021, arXiv:1904.12654.

    Examples
    --------
    >>> Affinity().maps(ndim=2)[1].offsets
    ((1, 0), (0, 1), (3, 0), (0, 3), (9, 0), (0, 9))
    """

    type: Literal["affinity"] = "affinity"
    join: ClassVar[JoinName] = "faces"
    whole_only: ClassVar[Mapping[str, Sequence[Any]]] = {"decoder": ("mutex", "multicut")}
    only_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "repulsion": ("decoder", ("mutex",)),
        "stride": ("decoder", ("mutex",)),
        "beta": ("decoder", ("multicut",)),
    }

    offsets: tuple[Offset, ...] = ()
    affinity_weight: float = Field(default=2.0, ge=0, le=MOST_WEIGHT)
    decoder: Literal["mutex", "multicut"] = Field(
        default="mutex",
        description="How pixels are grouped: one by one by the strongest pair (mutex), or in small "
        "regions by all pairs between them (multicut).",
    )
    fg_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Pixels above this belong to objects."
    )
    repulsion: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="Weight of the repulsion of distant pixels: higher gives more objects.",
    )
    stride: int = Field(
        default=2, ge=1, le=100, description="Every n-th of the repelling pairs counts."
    )
    beta: float = Field(
        default=0.5, ge=0.01, le=0.99, description="Multicut: the higher, the more objects."
    )

    @field_validator("offsets")
    @classmethod
    def _check_offsets(cls, offsets: tuple[Offset, ...]) -> tuple[Offset, ...]:
        if not offsets:
            return offsets
        ndim = len(offsets[0])
        if ndim not in (2, 3) or any(len(offset) != ndim for offset in offsets):
            raise ValueError("expected steps along 2 axes each, or along 3 axes each")
        if offsets[:ndim] != _neighbours(ndim):
            raise ValueError(
                f"the first {ndim} are {offsets[:ndim]}, expected those to the neighbours, "
                f"{_neighbours(ndim)}"
            )
        if len({max(offset, tuple(-step for step in offset)) for offset in offsets}) < len(offsets):
            raise ValueError("two of them are the same, or opposites")
        if any(not any(offset) for offset in offsets):
            raise ValueError("one of them is zero")
        return offsets

    def plan(self, stats: Statistics) -> Self:
        """Take the smallest object and the lengths of steps from the data."""
        graph_library()  # missing, it is to be said before training
        width = float(np.median(stats.widths)) if len(stats.widths) else 0.0
        finest = min(stats.spacing)
        lengths = [float(np.clip(share * width / finest, LEAST, MOST)) * finest for share in SHARES]
        return self.model_copy(
            update={
                "min_object_size": smallest_object(stats),
                # Those of a model that is trained further are what its weights know.
                "offsets": self.offsets or _along_axes(lengths, stats.spacing),
            }
        )

    def reasons(self, unit: str) -> list[str]:
        """Describe the steps and the smallest object."""
        longest = max((max(map(abs, offset)) for offset in self.offsets), default=LENGTHS[-1])
        return [
            f"affinities: {len(self.offsets)} steps of up to {longest} px (planned: to neighbours, "
            "and a third of and a whole width of an object)",
            describe_smallest(self.min_object_size),
        ]

    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return the foreground and the affinities, from one branch.

        Those of a volume follow from those of planes: the steps within planes across each axis.
        """
        offsets = self.offsets or _along_axes(LENGTHS, (1.0,) * ndim)
        if len(offsets[0]) < ndim:
            offsets = _lift(offsets)
        return (
            MapSpec("foreground", "scalar", 1, "sigmoid", average="activated"),
            MapSpec(
                "affinity",
                "affinity",
                len(offsets),
                "sigmoid",
                average="activated",
                offsets=offsets,
            ),
        )

    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return foreground, (*space), and affinities, (n, *space), int8.

        1, 0, or -1 where not known: a pixel that is not annotated, or the other one of a pair
        outside of the crop.
        """
        offsets = self.maps(labels.ndim)[1].offsets
        affinities = np.full((len(offsets), *labels.shape), NOT_ANNOTATED, np.int8)
        for channel, offset in zip(affinities, offsets, strict=True):
            first, second = paired_boxes(labels.shape, offset)
            one, other = labels[first], labels[second]
            alike = (one == other) & (one > 0)
            channel[first] = np.where((one >= 0) & (other >= 0), alike, NOT_ANNOTATED)
        foreground = np.where(labels < 0, NOT_ANNOTATED, labels > 0).astype(np.int8)
        return {
            "foreground": torch.from_numpy(foreground),
            "affinity": torch.from_numpy(affinities),
        }

    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Leave the biases at 0: all probabilities start at 0.5."""
        bias = head.bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():
            bias.zero_()

    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return cross entropy plus Dice loss, for the foreground and for lacks of affinity.

        Pairs of two objects are few: the Dice loss is that of finding them.
        """
        raw = full_precision(raw)
        truth = targets["foreground"]
        foreground = masked_bce(raw[:, 0], truth) + dice(raw[:, 0].sigmoid(), truth)
        pairs = targets["affinity"].flatten(0, 1)
        cuts = torch.where(pairs < 0, pairs, 1 - pairs)
        logits = -raw[:, 1:].flatten(0, 1)
        affinity = masked_bce(logits, cuts) + dice(logits.sigmoid(), cuts)
        total = foreground + self.affinity_weight * affinity
        return {"foreground": foreground, "affinity": affinity, "total": total}

    def decode(self, maps: Maps) -> Segmentation:
        """Group the pixels of the foreground."""
        # NaN are pixels without image: no object lies there.
        foreground = np.nan_to_num(maps["foreground"][0], nan=0)
        affinities = np.nan_to_num(maps["affinity"], nan=0)
        offsets = maps.spec("affinity").offsets
        grouped = DECODERS[self.decoder](self, foreground, affinities, offsets, maps.spacing)
        labels = relabel(drop_small(grouped.astype(np.int32), self.min_object_size + 1))
        boundary = 1 - affinities[: labels.ndim].mean(axis=0)
        return self.judged(labels, describe_pieces(labels, foreground, boundary, maps))

    def search_space(self) -> dict[str, Sequence[Any]]:
        """Vary the repulsion, the foreground, the strides, and the smallest object."""
        return {
            "repulsion": (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0),
            "fg_threshold": (0.3, 0.4, 0.5, 0.6, 0.7),
            "stride": (1, 2, 4),
            "decoder": tuple(DECODERS),
            "beta": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
            "min_object_size": sizes_to_try(self.min_object_size),
        }


def _mutex(
    method: Affinity,
    foreground: Floats,
    affinities: Floats,
    offsets: tuple[Offset, ...],
    spacing: Spacing,
) -> NDArray[Any]:
    ndim = foreground.ndim
    weights = affinities.copy()
    weights[ndim:] = method.repulsion * (1 - weights[ndim:])
    grouped = graph_library().segmentation.mutex_watershed(
        weights,
        offsets,
        ndim,
        strides=(method.stride,) * ndim,
        mask=foreground > method.fg_threshold,
    )
    return np.asarray(grouped)


def _multicut(
    method: Affinity,
    foreground: Floats,
    affinities: Floats,
    offsets: tuple[Offset, ...],
    spacing: Spacing,
) -> NDArray[Any]:
    ndim = foreground.ndim
    edges = 1 - foreground * affinities[:ndim].mean(axis=0)
    options = SupervoxelOptions(method.fg_threshold, EDGE, SMOOTHING, SMOOTHING)
    inside = foreground > method.fg_threshold
    edges = gaussian_smooth(edges, SMOOTHING, spacing)
    supervoxels = build_supervoxels(inside, edges, spacing, options)
    graph = build_affinity_graph(supervoxels, affinities, offsets)
    return graph.paint(join_small(graph, multicut(graph, method.beta), method.min_object_size))


#: Decoders by name: from foreground and affinities to labels.
DECODERS: dict[
    str, Callable[[Affinity, Floats, Floats, tuple[Offset, ...], Spacing], NDArray[Any]]
] = {"mutex": _mutex, "multicut": _multicut}


def _neighbours(ndim: int) -> tuple[Offset, ...]:
    return tuple(tuple(int(axis == other) for other in range(ndim)) for axis in range(ndim))


def _along_axes(lengths: Sequence[float], spacing: Spacing) -> tuple[Offset, ...]:
    """Return the steps to the neighbours, and steps of some lengths, µm, along each axis."""
    ndim = len(spacing)
    found = list(_neighbours(ndim))
    for length in lengths:
        for axis, size in enumerate(spacing):
            pixels = round(length / size)
            offset = tuple(pixels * (axis == other) for other in range(ndim))
            if pixels > 1 and offset not in found:
                found.append(offset)
    return tuple(found)


def _lift(offsets: tuple[Offset, ...]) -> tuple[Offset, ...]:
    """Return the steps of volumes that those of planes, across each axis, are.

    Examples
    --------
    >>> _lift(((1, 0), (0, 1)))
    ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    """
    lifted = {lift_offset(offset, across) for offset in offsets for across in range(3)}
    nearest = _neighbours(3)
    return (*nearest, *sorted(lifted.difference(nearest)))

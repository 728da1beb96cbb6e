"""Embedding method: offsets, bandwidths, seediness (Lalit et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.modules.conv import _ConvTransposeNd

from embedseg.clustering import cluster_raw
from embedseg.labels import (
    centroids,
    complete_axes,
    medoids,
    nearest_medians,
    object_ids,
    relabel_crop,
)
from embedseg.methods.base import MOST_WEIGHT, JoinName, activate
from embedseg.methods.confidence import log_odds
from embedseg.methods.embedding_loss import instance_loss
from embedseg.methods.instances import (
    InstanceMethod,
    describe_smallest,
    sizes_to_try,
    smallest_object,
)
from embedseg.methods.losses import full_precision
from embedseg.methods.transfer import Transfer
from embedseg.types import (
    LONGEST,
    NOT_ANNOTATED,
    Maps,
    MapSpec,
    Segmentation,
    Spacing,
    channel_slices,
)

if TYPE_CHECKING:
    from embedseg.data import Statistics


@final
class _SameLengths(Transfer["Embedding"]):
    """Offsets and bandwidths that stay the same in µm under another unit and scale."""

    def adopt_head(
        self, head: nn.Module, specs: Sequence[MapSpec], old: Embedding, new: Embedding
    ) -> None:
        weight, bias = head.weight, head.bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        # Offsets to first order; exp(scale * bandwidth) / unit^2 exactly.
        shrink = old.unit / new.unit
        factor = {"offset": shrink, "bandwidth": old.bandwidth_scale / new.bandwidth_scale}
        shift = {"bandwidth": -2 * float(np.log(shrink)) / new.bandwidth_scale}
        with torch.no_grad():
            # Transposed convolutions have the outputs on the second axis.
            outputs = weight.movedim(int(isinstance(head, _ConvTransposeNd)), 0)
            for name, part in channel_slices(tuple(specs)).items():
                outputs[part] *= factor.get(name, 1.0)
                bias[part] = bias[part] * factor.get(name, 1.0) + shift.get(name, 0.0)

    def translate(self, maps: Maps, old: Embedding, new: Embedding) -> Maps:
        shrink = old.unit / new.unit
        if shrink == 1 and old.bandwidth_scale == new.bandwidth_scale:
            return maps
        raw = maps.data.astype(np.float32)
        parts = channel_slices(maps.specs)
        # A longer offset than the new unit allows becomes its longest.
        raw[parts["offset"]] = np.arctanh(np.clip(maps["offset"] * shrink, -0.9995, 0.9995))
        raw[parts["bandwidth"]] = (
            old.bandwidth_scale * maps["bandwidth"] - 2 * np.log(shrink)
        ) / new.bandwidth_scale
        return Maps(raw.astype(np.float16), maps.specs, maps.spacing)


class Embedding(InstanceMethod):
    """Spatial embedding of every pixel, grouped by greedy clustering.

    Pixel i at x_i (µm) is sent to e_i = x_i + unit * tanh(offset_i); pixels of one object are to
    meet at its centre, within a distance that the net predicts too (the bandwidth). The seed map
    estimates how near to it a pixel comes.

    Attributes
    ----------
    unit : float
        Longest offset, and the unit of bandwidths, in µm.
    radius : float
        Distance in µm from the centre at which the likelihood is 0.5 when training starts.
    bandwidth_scale : float
        Factor in exp(bandwidth_scale * raw bandwidth).
    centre : {"medoid", "centroid", "median"}
        Target of an object's pixels: its medoid, its centroid, or its pixel nearest the median of
        the coordinates.
    foreground_weight : float
        Weight of object pixels in the seed loss.
    instance_weight, smoothness_weight, seed_weight : float
        Weights of the parts of the loss.
    fg_threshold : float
        Only pixels with a seed above it are foreground. This and the following options are for
        decoding, see `embedseg.clustering.cluster`, and tuned on validation images.
    seed_threshold : float
        Only pixels with a seed of at least this start an object.
    seeds : {"greedy", "peaks"}
        Pixels that may start one: every free foreground pixel, or only local maxima of the
        smoothed seed map, whatever their seed.
    max_radius : float, optional
        Longest distance from centre to member along each axis, in units of its spacing; a wider
        bandwidth counts as this wide. None cuts nothing.
    refine : float, optional
        Least likelihood of a member when objects are formed anew, around the mean centre and
        bandwidth of their pixels. None leaves them as they grew.
    min_object_size, confidence, min_score
        See `embedseg.methods.instances.InstanceMethod`.

    References
    ----------
    Lalit, Tomancak, Jug: EmbedSeg, Medical Image Analysis 81, 2022, 102523.
    Neven et al.: Instance segmentation by jointly optimizing spatial embeddings and clustering
    bandwidth, CVPR 2019.

    Examples
    --------
    >>> [spec.name for spec in Embedding(unit=20.0, radius=5.0).maps(ndim=2)]
    ['offset', 'bandwidth', 'seed']
    """

    type: Literal["embedding"] = "embedding"
    join: ClassVar[JoinName] = "seed-ownership"
    transfer: ClassVar[Transfer[Any]] = _SameLengths()

    unit: float = Field(default=20.0, gt=0, le=LONGEST)
    radius: float = Field(default=5.0, gt=0, le=LONGEST)
    bandwidth_scale: float = Field(default=10.0, gt=0, le=100)
    centre: Literal["medoid", "centroid", "median"] = "medoid"
    foreground_weight: float = Field(default=10.0, gt=0, le=MOST_WEIGHT)
    instance_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    smoothness_weight: float = Field(default=10.0, ge=0, le=MOST_WEIGHT)
    seed_weight: float = Field(default=1.0, ge=0, le=MOST_WEIGHT)
    fg_threshold: float = Field(
        default=0.5, ge=0, le=1, description="Pixels with a lower seed score are background."
    )
    seed_threshold: float = Field(
        default=0.9, ge=0, le=1, description="Objects begin where the seed score is higher."
    )
    seeds: Literal["greedy", "peaks"] = "greedy"
    max_radius: float | None = Field(default=None, gt=0, le=1e6)
    refine: float | None = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="Least likelihood of a pixel to belong to its object "
        "once all are found; without it objects stay as they were found.",
    )

    def plan(self, stats: Statistics) -> Self:
        """Tie the unit, the first bandwidth and the smallest object to the objects' sizes."""
        smallest = smallest_object(stats)
        extents = stats.extents * np.asarray(stats.spacing)
        longest = extents.max(axis=1)
        volume = stats.volumes * float(np.prod(stats.spacing))
        ball = np.pi if stats.ndim == 2 else 4 / 3 * np.pi
        unit = float(np.percentile(longest, 98))
        radius = float(np.median((volume / ball) ** (1 / stats.ndim)))
        fraction = float(np.clip(stats.foreground_fraction, 1e-3, 0.999))
        return self.model_copy(
            update={
                # Of pixels of a picometre, nothing would be left.
                "unit": round(unit, 4) or unit,
                "radius": round(radius, 4) or radius,
                "foreground_weight": 10.0
                if stats.ndim == 2
                else round(float(np.clip((1 - fraction) / fraction, 1.0, 100.0)), 2),
                "min_object_size": smallest,
                # In pixels; no object is that wide, so only outliers of the bandwidth are cut.
                "max_radius": float(np.ceil(stats.extents.max())),
            }
        )

    def reasons(self, unit: str) -> list[str]:
        """Describe the options that follow from the size of the objects."""
        return [
            f"offsets: up to {self.unit:g} {unit}, the extent of a large object",
            f"bandwidth: starts at {self.radius:g} {unit}, the radius of a typical object",
            f"seeds: an object's pixels weigh {self.foreground_weight:g} times the background's",
            describe_smallest(self.min_object_size),
        ]

    def maps(self, ndim: int) -> tuple[MapSpec, ...]:
        """Return offset and bandwidth from the first branch, the seed map from the second."""
        return (
            MapSpec("offset", "vector", ndim, "tanh", head=0),
            MapSpec("bandwidth", "extent", ndim, "none", head=0),
            MapSpec("seed", "scalar", 1, "sigmoid", head=1),
        )

    def targets(self, labels: NDArray[np.int32], spacing: Spacing) -> dict[str, Tensor]:
        """Return the labels, and of each object the centre in µm and its unknown axes: (n, ndim).

        Of unknown axes there are no rows if all axes of all objects are known, so that the loss
        need not ask the device. An object that continues into pixels that are not annotated along
        every axis has no centre, and counts as not annotated.
        """
        labels = relabel_crop(labels)
        if self.centre == "centroid":
            centres = centroids(labels, spacing)
        else:
            pick = medoids if self.centre == "medoid" else nearest_medians
            centres = pick(labels, spacing) * np.asarray(spacing)
        known = complete_axes(labels)
        lost = ~known.any(axis=1)
        if lost.any():
            labels = np.where(np.isin(labels, object_ids(labels)[lost]), NOT_ANNOTATED, labels)
        return {
            "labels": torch.from_numpy(labels.astype(np.int64)),
            "centres": torch.from_numpy(np.asarray(centres, np.float32).reshape(-1, labels.ndim)),
            "unknown": torch.from_numpy(~known[: 0 if known.all() else None]),
        }

    def init_head(self, head: nn.Module, specs: Sequence[MapSpec]) -> None:
        """Start with no offset, likelihood 0.5 at `radius`, and few seeds."""
        start = {
            "offset": 0.0,
            "bandwidth": float(np.log(np.log(2) * (self.unit / self.radius) ** 2))
            / self.bandwidth_scale,
            "seed": -2.0,
        }
        weight, bias = head.weight, head.bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        with torch.no_grad():
            if any(spec.name == "offset" for spec in specs):
                weight.zero_()
            bias.copy_(torch.cat([torch.full((s.channels,), start[s.name]) for s in specs]))

    def loss(
        self, raw: Tensor, targets: Mapping[str, Tensor], spacing: Spacing
    ) -> dict[str, Tensor]:
        """Return instance, smoothness and seed parts (Lalit et al. 2021, equation 4)."""
        ndim = len(spacing)
        # Lovász sums and exp(10 s) want full precision whatever the net ran in.
        maps = activate(full_precision(raw), self.maps(ndim))
        labels = targets["labels"]
        grid = torch.meshgrid(
            *(
                torch.arange(n, device=raw.device) * step
                for n, step in zip(raw.shape[2:], spacing, strict=True)
            ),
            indexing="ij",
        )
        embedding = torch.stack(grid).to(maps["offset"]) + self.unit * maps["offset"]
        parts = instance_loss(
            embedding,
            maps["bandwidth"],
            labels,
            targets["centres"],
            _known(targets),
            unit=self.unit,
            scale=self.bandwidth_scale,
        )
        weight = torch.where(labels > 0, self.foreground_weight, 1.0) * (labels >= 0)
        wrong = (maps["seed"][:, 0] - parts.likelihood) ** 2
        # Per image, like the other parts: then a batch may be split over devices or steps.
        annotated = (labels >= 0).flatten(1).sum(dim=1).clamp(min=1)
        seed = ((weight * wrong).flatten(1).sum(dim=1) / annotated).mean()
        total = (
            self.instance_weight * parts.instance
            + self.smoothness_weight * parts.smoothness
            + self.seed_weight * seed
        )
        return {
            "instance": parts.instance,
            "smoothness": parts.smoothness,
            "seed": seed,
            "total": total,
        }

    def decode(self, maps: Maps) -> Segmentation:
        """Cluster the embeddings around seeds."""
        clusters = cluster_raw(
            maps.raw("offset"),
            maps.raw("bandwidth"),
            maps.raw("seed")[0],
            spacing=maps.spacing,
            unit=self.unit,
            bandwidth_scale=self.bandwidth_scale,
            fg_threshold=self.fg_threshold,
            seed_threshold=self.seed_threshold,
            min_object_size=self.min_object_size,
            seeds=self.seeds,
            max_radius=self.max_radius,
            refine=self.refine,
            origin=maps.origin,
        )
        # Seed, compactness, share of its pixels that other objects did not take.
        kept = clusters.size / np.maximum(clusters.claimed, 1)
        evidence = [log_odds(clusters.score), log_odds(clusters.compactness), np.log(kept)]
        return self.judged(
            clusters.labels,
            {
                "position": clusters.position,
                "centre": clusters.centre,
                "score": clusters.score,
                "size": clusters.size,
                "evidence": np.stack(evidence, axis=1).astype(np.float32),
            },
        )

    def search_space(self) -> dict[str, Sequence[Any]]:
        """Vary the two thresholds and the smallest object."""
        return {
            "seed_threshold": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97),
            "fg_threshold": (0.3, 0.4, 0.5, 0.6),
            "min_object_size": sizes_to_try(self.min_object_size),
            "refine": (None, 0.6, 0.5, 0.4, 0.3, 0.2),
        }


def _known(targets: Mapping[str, Tensor]) -> Tensor | None:
    """Return which axes of each object are known, (B, n, ndim); None if all are."""
    unknown = targets["unknown"]
    if not unknown.shape[1]:
        return None
    # An image whose objects are all known may hold more of them than the others.
    return pad(unknown, (0, 0, 0, targets["centres"].shape[1] - unknown.shape[1])).logical_not()

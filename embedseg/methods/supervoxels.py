"""Supervoxels of a boundary map, and the graph of those that touch."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import edt
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import local_maxima

from embedseg.common import missing_library
from embedseg.geometry import gaussian_smooth
from embedseg.labels import label_pieces, relabel
from embedseg.types import Floats, Indices, Labels, Mask, Spacing

#: Bytes of graphs that are kept: those of validation images, but not of a large volume.
KEPT_BYTES = 2**27


@dataclass(frozen=True)
class RegionGraph:
    """Supervoxels, and their faces with each other.

    Attributes
    ----------
    supervoxels : (*space) int32 ndarray
        0 is background; n supervoxels are numbered 1 to n.
    count : int
        n.
    pairs : (m, 2) int64 ndarray
        Supervoxels that touch: their numbers less 1, the smaller first; sorted.
    boundary : (m,) float64 ndarray
        Mean of the boundary map on both sides of their common face, from 0, if it is as high in the
        region with less of it, to 1: in dark regions it is high everywhere, which parts nothing.
    sizes : (m,) float64 ndarray
        Pairs of pixels that meet there.
    """

    supervoxels: Labels
    count: int
    pairs: Indices
    boundary: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def nbytes(self) -> int:
        """Bytes that this takes."""
        parts = (self.supervoxels, self.pairs, self.boundary, self.sizes)
        return sum(part.nbytes for part in parts)

    def paint(self, clusters: NDArray[Any]) -> Labels:
        """Return labels from the cluster of each supervoxel, (n,) integer.

        Examples
        --------
        >>> nothing = np.zeros(0)
        >>> graph = RegionGraph(np.array([[0, 1, 2]], np.int32), 2, nothing, nothing, nothing)
        >>> graph.paint(np.array([0, 0])).tolist()
        [[0, 1, 1]]
        """
        numbers = np.concatenate([[0], np.asarray(clusters, np.int64) + 1]).astype(np.int32)
        return numbers[self.supervoxels]


class SupervoxelOptions(NamedTuple):
    """Options of supervoxels.

    Attributes
    ----------
    fg_threshold : float
        Foreground is above this.
    boundary_threshold : float
        Pixels with a higher value are the boundary that distances are measured to.
    smoothing, sigma : float
        Smoothing of the boundary, and of the distance to it, pixels of the finest axis.
    smallest : int
        Regions of fewer pixels are given to their neighbours.
    planes : bool
        Whether each plane along the first axis is split by itself.
    """

    fg_threshold: float
    boundary_threshold: float
    smoothing: float
    sigma: float
    smallest: int = 0
    planes: bool = False


def build_supervoxels(
    inside: Mask, edges: Floats, spacing: Spacing, options: SupervoxelOptions
) -> Labels:
    """Split the foreground into regions that no boundary crosses.

    Regions begin at maxima of the smoothed distance to the boundary and grow along the boundary
    map.

    Parameters
    ----------
    inside : (*space) bool ndarray
        Foreground; two or three axes.
    edges : (*space) float ndarray
        Probability of a boundary, smoothed.
    spacing : tuple of float
        µm per pixel along each axis.
    options : SupervoxelOptions
        All but `fg_threshold` and `smoothing`, which were used before.

    Returns
    -------
    (*space) int32 ndarray
        0 outside, else 1 to n.

    Examples
    --------
    >>> edges = np.array([[0, 0, 0, 0.9, 0, 0, 0]], np.float32)
    >>> options = SupervoxelOptions(0.5, 0.5, 0, 0)
    >>> build_supervoxels(np.ones((1, 7), bool), edges, (1.0, 1.0), options).tolist()
    [[1, 1, 1, 2, 2, 2, 2]]
    """
    if not options.planes or inside.ndim == 2:
        return relabel(_split(inside, edges, spacing, options))
    labels, last = np.zeros(inside.shape, np.int32), 0
    for k, (mask, values) in enumerate(zip(inside, edges, strict=True)):
        plane = _split(mask, values, spacing[1:], options)
        labels[k] = np.where(plane > 0, plane + last, 0)
        last += int(plane.max(initial=0))
    return relabel(labels)


def build_graph(supervoxels: Labels, boundary: Floats) -> RegionGraph:
    """Return the graph of the supervoxels that share a face.

    Parameters
    ----------
    supervoxels : (*space) int32 ndarray
        0 is background, others 1 to n; two or three axes.
    boundary : (*space) float ndarray
        Boundary map, 0 to 1.

    Raises
    ------
    UsageError
        If bioimage-cpp is not installed.

    Examples
    --------
    >>> boundary = np.array([[0.0, 0.2, 0.6, 0.1]])
    >>> graph = build_graph(np.array([[1, 1, 2, 0]], np.int32), boundary)
    >>> graph.pairs.tolist(), graph.boundary.round(2).tolist(), graph.sizes.tolist()
    ([[0, 1]], [0.33], [1.0])
    """
    library = graph_library().graph
    adjacent = library.region_adjacency_graph(supervoxels, number_of_threads=1)
    features = library.features.edge_map_features(
        adjacent, supervoxels, boundary, number_of_threads=1
    )
    graph = _make_graph(supervoxels, adjacent, features)
    # Where a boundary is seen everywhere a little, one between two regions is more than that.
    flat = supervoxels.ravel()
    pixels = np.bincount(flat, minlength=graph.count + 1)[1:]
    inside = np.bincount(flat, boundary.ravel(), graph.count + 1)[1:] / np.maximum(pixels, 1)
    least = inside[graph.pairs].min(axis=1, initial=1)
    relative = np.clip((graph.boundary - least) / np.maximum(1 - least, 1e-6), 0, 1)
    return replace(graph, boundary=relative)


def build_affinity_graph(
    supervoxels: Labels, affinities: Floats, offsets: Sequence[tuple[int, ...]]
) -> RegionGraph:
    """Return the graph of the supervoxels that share a face, from the affinities of pixel pairs.

    Parameters
    ----------
    supervoxels : (*space) int32 ndarray
        0 is background, others 1 to n; two or three axes.
    affinities : (n, *space) float32 ndarray
        Of each pixel and the one at an offset from it.
    offsets : sequence of tuple of int

    Returns
    -------
    RegionGraph
        Its boundary is 1 minus the mean affinity of all pairs with a pixel in each supervoxel, its
        sizes are their numbers.

    Examples
    --------
    >>> affinities = np.array([[[0, 0, 0, 0]], [[0.9, 0.2, 0.8, 0]]], np.float32)
    >>> supervoxels = np.array([[1, 1, 2, 2]], np.int32)
    >>> graph = build_affinity_graph(supervoxels, affinities, ((1, 0), (0, 1)))
    >>> graph.boundary.round(2).tolist(), graph.sizes.tolist()
    ([0.8], [1.0])
    """
    library = graph_library().graph
    adjacent = library.region_adjacency_graph(supervoxels, number_of_threads=1)
    features = library.features.affinity_features(
        adjacent, supervoxels, affinities, offsets, number_of_threads=1
    )
    features[:, 0] = 1 - features[:, 0]
    return _make_graph(supervoxels, adjacent, features)


def _make_graph(supervoxels: Labels, adjacent: Any, features: NDArray[Any]) -> RegionGraph:
    """Return the graph of supervoxels without the background; features are mean and size."""
    pairs = np.asarray(adjacent.uv_ids()).astype(np.int64).reshape(-1, 2)
    between = pairs.min(axis=1, initial=1) > 0
    means, sizes = features.reshape(-1, 2)[between].T
    count = int(supervoxels.max(initial=0))
    return RegionGraph(supervoxels, count, pairs[between] - 1, means, sizes)


def graph_of(
    foreground: Floats, boundary: Floats, spacing: Spacing, options: SupervoxelOptions
) -> RegionGraph:
    """Return supervoxels of a foreground and a boundary map, and their graph.

    That of small maps is kept: options of the same few images are tried when decoding is tuned.

    Parameters
    ----------
    foreground, boundary : (*space) float ndarray
        Probabilities that a pixel belongs to an object, and to the rim of one.
    spacing : tuple of float
        µm per pixel along each axis.
    options : SupervoxelOptions

    Examples
    --------
    >>> boundary = np.array([[0, 0, 0, 0.9, 0, 0, 0]], np.float32)
    >>> options = SupervoxelOptions(0.5, 0.5, 0.5, 0)
    >>> graph_of(np.ones((1, 7), np.float32), boundary, (1.0, 1.0), options).supervoxels.tolist()
    [[1, 1, 1, 2, 2, 2, 2]]
    """
    digests = (
        hashlib.blake2b(np.ascontiguousarray(m).data).digest() for m in (foreground, boundary)
    )
    key = (*digests, foreground.shape, spacing, options)
    if key in _KEPT:
        _KEPT.move_to_end(key)
        return _KEPT[key]
    # The rims of two neighbours are two ridges of the boundary map, and the gap between them is
    # background: together, and smoothed, they are one.
    edges = gaussian_smooth(1 - foreground * (1 - boundary), options.smoothing, spacing)
    graph = build_graph(
        build_supervoxels(foreground > options.fg_threshold, edges, spacing, options), edges
    )
    if graph.nbytes <= KEPT_BYTES:
        _KEPT[key] = graph
        while sum(each.nbytes for each in list(_KEPT.values())) > KEPT_BYTES:
            _KEPT.popitem(last=False)
    return graph


_KEPT: OrderedDict[Any, RegionGraph] = OrderedDict()


def graph_library() -> Any:
    """Return bioimage-cpp.

    Raises
    ------
    UsageError
        If it is not installed.

    Examples
    --------
    >>> graph_library().__name__
    'bioimage_cpp'
    """
    try:
        import bioimage_cpp
    except ImportError as error:
        raise missing_library("affinities, multicut and gasp need", error, "graph") from error
    return bioimage_cpp


def _split(inside: Mask, edges: Floats, spacing: Spacing, options: SupervoxelOptions) -> Labels:
    grow = graph_library().segmentation.watershed
    core = inside & (edges < options.boundary_threshold)
    # Where all is core, the distance is infinite.
    longest = float(np.dot(core.shape, spacing))
    distance = np.minimum(edt.edt(core, anisotropy=tuple(spacing)), longest)
    distance = gaussian_smooth(distance, options.sigma, spacing)
    height = np.ascontiguousarray(edges, np.float32)
    labels = grow(height, label_pieces(find_maxima(distance) & core), mask=inside)
    small = np.bincount(labels.ravel()) < options.smallest
    if small[1:].any() and not small[1:].all():
        labels = grow(height, np.where(small[labels], 0, labels).astype(np.int32), mask=inside)
    # Pieces of the foreground without a core are regions, too.
    rest = label_pieces(inside & (labels == 0))
    return np.asarray(np.where(rest > 0, rest + labels.max(initial=0), labels), np.int32)


def find_maxima(values: Floats) -> Mask:
    """Return the local maxima; values that are all the same are one.

    Examples
    --------
    >>> find_maxima(np.array([[0, 2, 1, 1, 3]])).astype(int).tolist()
    [[0, 1, 0, 0, 1]]
    """
    framed = np.pad(values.astype(np.float32), 1, constant_values=-np.inf)
    maxima = np.asarray(local_maxima(framed), np.bool_)  # type: ignore[no-untyped-call]
    return maxima[(slice(1, -1),) * values.ndim]

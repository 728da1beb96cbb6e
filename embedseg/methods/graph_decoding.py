"""Supervoxels joined into objects: multicut, and agglomeration by average linkage."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from embedseg.methods.supervoxels import RegionGraph, graph_library
from embedseg.types import Indices

#: Boundary values are kept this far from 0 and 1, whose log-odds are infinite.
LEAST = 1e-3


def has_graphs() -> bool:
    """Return whether the library of the decoders on graphs is installed.

    Examples
    --------
    >>> has_graphs()
    True
    """
    return find_spec("bioimage_cpp") is not None


def edge_costs(boundary: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    r"""Return the cost of a cut between supervoxels: above 0 if they belong together.

    Parameters
    ----------
    boundary : (m,) float64 ndarray
        Probability of a boundary between each pair.
    beta : float
        Share of pairs that are cut if nothing is known, between 0 and 1: the higher, the more
        objects.

    Returns
    -------
    (m,) float64 ndarray
        .. math:: \log\frac{1 - p}{p} + \log\frac{1 - \beta}{\beta}

    References
    ----------
    Andres et al. (2012), Globally optimal closed-surface segmentation for connectomics, ECCV.
    doi:10.1007/978-3-642-33712-3_56

    Examples
    --------
    >>> edge_costs(np.array([0.2, 0.5, 0.8]), 0.5).round(2).tolist()
    [1.39, 0.0, -1.39]
    """
    p = np.clip(boundary, LEAST, 1 - LEAST)
    return np.asarray(np.log((1 - p) / p) + np.log((1 - beta) / beta))


def multicut(graph: RegionGraph, beta: float) -> Indices:
    """Cluster supervoxels such that the costs of the cut faces sum up to as little as possible.

    The costs of a face are multiplied by its size. The solvers are heuristics: Kernighan-Lin, from
    greedy contraction on, then fusion moves.

    Parameters
    ----------
    graph : RegionGraph
        Of n supervoxels.
    beta : float
        See `edge_costs`.

    Returns
    -------
    (n,) int64 ndarray
        Cluster of each supervoxel, from 0 on.

    References
    ----------
    Keuper et al. (2015), Efficient decomposition of image and mesh graphs by lifted multicuts,
    ICCV. doi:10.1109/ICCV.2015.204
    Beier et al. (2015), Fusion moves for correlation clustering, CVPR.
    doi:10.1109/CVPR.2015.7298973

    Examples
    --------
    >>> pairs, sizes = np.array([[0, 1], [1, 2]]), np.ones(2)
    >>> graph = RegionGraph(np.array([[1, 2, 3]], np.int32), 3, pairs, np.array([0.1, 0.9]), sizes)
    >>> multicut(graph, 0.5).tolist()
    [0, 0, 1]
    """
    weights = graph.sizes / graph.sizes.mean() if len(graph.sizes) else graph.sizes
    return solve_multicut(graph.count, graph.pairs, edge_costs(graph.boundary, beta) * weights)


def solve_multicut(count: int, pairs: Indices, costs: NDArray[np.float64]) -> Indices:
    """Cluster nodes 0 to n - 1 such that the costs of cut edges, (m,), sum up to little.

    Pairs, (m, 2), are sorted, and the smaller node comes first.

    Examples
    --------
    >>> pairs = np.array([[0, 1], [0, 2], [1, 2]])
    >>> solve_multicut(3, pairs, np.array([2.0, -0.5, -1.0])).tolist()
    [0, 0, 1]
    """
    if not len(pairs):
        return np.arange(count)
    solvers = graph_library().graph.multicut
    objective = solvers.MulticutObjective(_graph(count, pairs), costs)
    local = solvers.KernighanLinMulticut()
    fusion = solvers.FusionMoveMulticut(
        proposal_generator=solvers.GreedyAdditiveProposalGenerator(),
        sub_solver=solvers.KernighanLinMulticut(),
    )
    clusters = solvers.ChainedMulticutSolvers([local, fusion]).optimize(objective)
    return _numbered(clusters)


def gasp(graph: RegionGraph, beta: float) -> Indices:
    """Cluster supervoxels by joining the most attractive pair until none attracts.

    The attraction of two clusters is the mean of `edge_costs` over their faces, weighted by size.

    Parameters
    ----------
    graph : RegionGraph
        Of n supervoxels.
    beta : float
        See `edge_costs`.

    Returns
    -------
    (n,) int64 ndarray
        Cluster of each supervoxel, from 0 on.

    References
    ----------
    Bailoni et al. (2022), GASP, a generalized framework for agglomerative clustering of signed
    graphs and its application to instance segmentation, CVPR. arXiv:1906.11713

    Examples
    --------
    >>> pairs, sizes = np.array([[0, 1], [1, 2]]), np.ones(2)
    >>> graph = RegionGraph(np.array([[1, 2, 3]], np.int32), 3, pairs, np.array([0.1, 0.9]), sizes)
    >>> gasp(graph, 0.5).tolist()
    [0, 0, 1]
    """
    costs = edge_costs(graph.boundary, beta)
    return agglomerate(graph.count, graph.pairs, costs, graph.sizes)


def agglomerate(
    count: int, pairs: Indices, costs: NDArray[np.float64], sizes: NDArray[np.float64]
) -> Indices:
    """Join the clusters with the largest mean cost, weighted by sizes, while it is above 0.

    Pairs, (m, 2), are sorted, and the smaller node comes first.

    Examples
    --------
    >>> pairs, costs = np.array([[0, 1], [0, 2], [1, 2]]), np.array([2.0, -3.0, 1.0])
    >>> agglomerate(3, pairs, costs, np.ones(3)).tolist()
    [0, 0, 1]
    """
    if not len(pairs):
        return np.arange(count)
    policy = graph_library().graph.agglomeration.GaspClusterPolicy(linkage="mean")
    return _numbered(policy.optimize(_graph(count, pairs), costs, edge_sizes=sizes))


def join_small(graph: RegionGraph, clusters: Indices, most: int) -> Indices:
    """Join small clusters to the neighbour that the faintest boundary parts them from.

    Each round joins all that are small, until those that are left touch nothing.

    Parameters
    ----------
    graph : RegionGraph
        Of n supervoxels.
    clusters : (n,) int64 ndarray
        Cluster of each supervoxel, from 0 on.
    most : int
        Clusters of up to this many pixels are small.

    Returns
    -------
    (n,) int64 ndarray
        Clusters, numbered from 0 on.

    Examples
    --------
    >>> pairs, sizes = np.array([[0, 1], [1, 2]]), np.ones(2)
    >>> image = np.array([[1, 1, 2, 3, 3]], np.int32)
    >>> graph = RegionGraph(image, 3, pairs, np.array([0.7, 0.9]), sizes)
    >>> join_small(graph, np.arange(3), most=1).tolist()
    [0, 0, 1]
    """
    pixels = np.bincount(graph.supervoxels.ravel(), minlength=graph.count + 1)[1:]
    while True:
        count = int(clusters.max(initial=-1)) + 1
        small = np.bincount(clusters, pixels, count) <= most
        ends = np.sort(clusters[graph.pairs], axis=1)
        apart = ends[:, 0] != ends[:, 1]
        touching, edge = np.unique(ends[apart], axis=0, return_inverse=True)
        sizes = np.bincount(edge.ravel(), graph.sizes[apart])
        means = np.bincount(edge.ravel(), (graph.sizes * graph.boundary)[apart]) / sizes
        # For each small cluster its edge of the lowest mean.
        owner, row = np.concatenate([touching[:, 0], touching[:, 1]]), np.tile(means, 2)
        order = np.lexsort((row, owner))
        order = order[small[owner[order]]]
        if not len(order):
            return _numbered(clusters)
        _, first = np.unique(owner[order], return_index=True)
        chosen = touching[order[first] % len(touching)]
        joined = coo_array((np.ones(len(chosen)), chosen.T), shape=(count, count))
        clusters = connected_components(joined, directed=False)[1][clusters].astype(np.int64)


def _graph(count: int, pairs: Indices) -> Any:
    library = graph_library().graph
    return library.UndirectedGraph.from_unique_edges(count, pairs.astype(np.uint64))


def _numbered(clusters: NDArray[Any]) -> Indices:
    """Return the clusters numbered in the order of their first nodes."""
    _, first, numbers = np.unique(clusters, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[numbers.ravel()]

"""Greedy clustering of embeddings, seed by seed."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedseg.clustering import _kernels as kernels
from embedseg.clustering._activation import (
    activate,
    activation_table,
    background_cutoff,
    find_peaks,
)
from embedseg.clustering._options import ClusterOptions
from embedseg.types import DataError, Floats, Indices, Labels, PerAxis

#: Scratch of up to this many bytes per thread is kept from one image to the next.
KEEP = 2**28

#: Sides of a tile in pixels, and of a group in tiles.
TILES = {ndim: kernels.tile_shape.py_func(ndim) for ndim in (2, 3)}


@dataclass(frozen=True)
class Clusters:
    """Objects found, in order of acceptance: row k is label k + 1.

    Attributes
    ----------
    labels : (*space) int32 ndarray
        0 is background; objects are numbered 1 to n.
    position : (n, ndim) int64 ndarray
        Index of the seed pixel that the object grew from.
    centre : (n, ndim) float32 ndarray
        Embedding of the seed pixel, in µm; with `refine` the mean over the object's pixels.
    score : (n,) float32 ndarray
        Seed probability of the seed pixel.
    size : (n,) int64 ndarray
        Pixels that carry the label.
    claimed : (n,) int64 ndarray
        Pixels that were members when the object was proposed, free or not; what other objects
        took of them later is a part of it too.
    compactness : (n,) float32 ndarray
        Mean over its pixels of the likelihood exp(-q), q being the sum over axes that decides
        about members: 1 where all embeddings meet in one point, 0.5 at the edge of an object.
    """

    labels: Labels
    position: Indices
    centre: Floats
    score: Floats
    size: Indices
    claimed: Indices
    compactness: Floats


def cluster(
    offset: NDArray[Any],
    bandwidth: NDArray[Any],
    seed: NDArray[Any],
    *,
    spacing: Sequence[float],
    unit: float,
    bandwidth_scale: float = 10.0,
    fg_threshold: float = 0.5,
    seed_threshold: float = 0.9,
    min_object_size: int = 0,
    seeds: Literal["greedy", "peaks"] = "greedy",
    max_radius: float | None = None,
    refine: float | None = None,
    origin: Sequence[int] | None = None,
) -> Clusters:
    """Group pixels into objects, seed by seed, from activated maps.

    Pixel i lies at ``e_d = index_d * spacing_d + unit * offset_d``. The free foreground pixel with
    the highest seed is the next centre C; of equal ones, the first in raster order. Its members
    are all foreground pixels with ``sum_d w_d * (e_d - C_d)**2 <= ln 2``, where
    ``w_d = exp(bandwidth_scale * s_d) / unit**2`` is that of the seed pixel. They become an object
    if they are more than `min_object_size` and more than half of them are free, and are free no
    longer in any case. An object is written over earlier ones; those that are left with
    `min_object_size` pixels or fewer are dropped at the end.

    Parameters
    ----------
    offset : (ndim, *space) ndarray
        Offsets in units of `unit`, after tanh; channel d belongs to array axis d. 2D or 3D.
        float16 and float32 are read as they are, other types as float32.
    bandwidth : (ndim, *space) ndarray
        Raw bandwidths s.
    seed : (*space) ndarray
        Seed probability. Pixels at which any map is not finite belong to nothing.
    spacing : sequence of float
        Size of a pixel along each axis, in µm.
    unit : float
        Unit of offsets, and of the distances that bandwidths weigh, in µm.
    bandwidth_scale : float
        Factor in the exponent of the weights.
    fg_threshold : float
        Only pixels with a seed above it are foreground.
    seed_threshold : float
        Only pixels with a seed of at least this start an object. Both thresholds are rounded to
        float32, so that a seed which equals the threshold counts.
    min_object_size : int
        Objects need more pixels than this.
    seeds : {"greedy", "peaks"}
        With "peaks", only foreground pixels that are local maxima of the seed map, smoothed by
        1 px, start an object, whatever their seed; what is rejected leaves its members free.
    max_radius : float, optional
        Longest distance from centre to member along each axis, in units of its spacing: a wider
        bandwidth counts as this wide. By default nothing is cut, and one pixel with a wild
        bandwidth may claim the whole image; about the size of the largest object is a safe value.
    refine : float, optional
        A likelihood. At the end the centre and the bandwidth of each object become the means over
        its pixels, which one noisy seed pixel cannot spoil, and every foreground pixel goes to the
        object with the smallest sum above, at most ``-ln(refine)``; of equal ones, to the first.
        By default objects stay as they grew.
    origin : sequence of int, optional
        Index of the first pixel in a larger image that the maps are a block of: embeddings are
        those that they have there, to the last bit. Default: zeros.

    Returns
    -------
    Clusters
        Labels, and where each object grew from; positions count in the maps given, centres from
        the origin of the whole image.

    Raises
    ------
    DataError
        If the maps do not fit together, or not the spacing.
    UsageError
        For options out of range.

    References
    ----------
    Lalit, Tomancak, Jug: EmbedSeg, Medical Image Analysis 81, 2022, 102523.

    Examples
    --------
    Five pixels in a row; three of them point at the one in the middle:

    >>> offset = np.array([[[0, 0, 0, 0, 0]], [[0, 0.1, 0, -0.1, 0]]], np.float32)
    >>> seed = np.array([[0.2, 0.8, 0.95, 0.8, 0.2]], np.float32)
    >>> found = cluster(offset, np.full((2, 1, 5), 0.4), seed, spacing=(1, 1), unit=10)
    >>> found.labels, found.position, found.size
    (array([[0, 1, 1, 1, 0]], dtype=int32), array([[0, 2]]), array([3]))
    """
    options = ClusterOptions(
        spacing=tuple(spacing),
        unit=unit,
        bandwidth_scale=bandwidth_scale,
        fg_threshold=fg_threshold,
        seed_threshold=seed_threshold,
        min_object_size=min_object_size,
        seeds=seeds,
        max_radius=max_radius,
        refine=refine,
        origin=tuple(origin or ()),
    )
    return _decode(offset, bandwidth, seed, options, ("none", "none"))


def cluster_raw(
    offset: NDArray[Any],
    bandwidth: NDArray[Any],
    seed: NDArray[Any],
    *,
    spacing: Sequence[float],
    unit: float,
    bandwidth_scale: float = 10.0,
    fg_threshold: float = 0.5,
    seed_threshold: float = 0.9,
    min_object_size: int = 0,
    seeds: Literal["greedy", "peaks"] = "greedy",
    max_radius: float | None = None,
    refine: float | None = None,
    origin: Sequence[int] | None = None,
) -> Clusters:
    """Group pixels into objects, from raw network output.

    The same, byte for byte, as `cluster` on ``tanh(offset)`` and ``sigmoid(seed)`` in float32 (as
    in `embedseg.types.ACTIVATIONS`), but only the foreground is activated. Fastest with float16,
    which takes the activated values from a table.

    Parameters
    ----------
    offset, bandwidth : (ndim, *space) ndarray
        Raw output, float16 or float32.
    seed : (*space) ndarray
        Raw output, float16 or float32.
    spacing, unit, bandwidth_scale, fg_threshold, seed_threshold, min_object_size, seeds
        See `cluster`.
    max_radius, refine, origin
        See `cluster`.

    Returns
    -------
    Clusters
        Labels, and where each object grew from.

    Raises
    ------
    DataError
        If the maps do not fit together, or not the spacing.
    UsageError
        For options out of range.

    Examples
    --------
    >>> offset, seed = np.zeros((2, 1, 4), np.float16), np.array([[4, 5, 4, -5]], np.float16)
    >>> cluster_raw(offset, offset, seed, spacing=(1, 1), unit=1.5).labels
    array([[1, 1, 1, 0]], dtype=int32)
    """
    options = ClusterOptions(
        spacing=tuple(spacing),
        unit=unit,
        bandwidth_scale=bandwidth_scale,
        fg_threshold=fg_threshold,
        seed_threshold=seed_threshold,
        min_object_size=min_object_size,
        seeds=seeds,
        max_radius=max_radius,
        refine=refine,
        origin=tuple(origin or ()),
    )
    return _decode(offset, bandwidth, seed, options, ("tanh", "sigmoid"))


def warm_up() -> None:
    """Compile everything, or load it from numba's cache, so that the next call is fast.

    Examples
    --------
    >>> warm_up()
    """
    for dtype in (np.float16, np.float32):
        maps = np.ones((5, 3, 3), dtype)
        for seeds in ("greedy", "peaks"):
            cluster_raw(
                maps[:2], maps[2:4], maps[4], spacing=(1, 1), unit=1, seeds=seeds, refine=0.5
            )


def _check_shapes(options: ClusterOptions, arrays: Sequence[NDArray[Any]]) -> None:
    """Check that maps fit together, and the spacing."""
    ndim, (offset, bandwidth, seed) = options.ndim, (array.shape for array in arrays)
    if len(seed) != ndim or offset != (ndim, *seed) or bandwidth != offset:
        raise DataError(
            f"offset {offset}, bandwidth {bandwidth} and seed {seed} do not fit together, or not "
            f"spacing {options.spacing}; expected (ndim, *space), (ndim, *space) and (*space)"
        )
    if math.prod(seed) >= 2**32:
        raise DataError(f"{seed} are too many pixels at once; cluster them in blocks")


def _decode(
    offset: NDArray[Any],
    bandwidth: NDArray[Any],
    seed: NDArray[Any],
    options: ClusterOptions,
    activations: tuple[str, str],
) -> Clusters:
    """Cluster maps whose offset and seed still need these activations."""
    arrays = [np.asarray(array) for array in (offset, bandwidth, seed)]
    _check_shapes(options, arrays)
    shape, ndim = arrays[2].shape, options.ndim
    grid = _grid(shape, options)
    maps = _flat_maps(arrays, activations, ndim)
    tiles, reach = _tiles(maps, grid, options, activations)
    if options.seeds == "peaks":
        kernels.keep_peaks(grid, tiles, find_peaks(maps.seed, activations[1], shape))
    rules = _rules(options)
    is_member = _scratch.take("is_member", tiles.label.shape, np.uint8)
    found, sizes = kernels.grow_objects(maps, grid, tiles, rules, reach, is_member)
    if options.refine is None:
        shapes = kernels.seed_shapes(found, maps, grid, tiles, rules)
    else:
        best = _scratch.take("best", tiles.label.shape, np.float32)
        max_q = np.float32(-math.log(options.refine))
        shapes = kernels.refine_objects(
            maps, grid, tiles, rules, reach, is_member, best, sizes, max_q
        )
    keep = sizes > options.min_object_size
    names = np.zeros(len(sizes) + 1, np.int32)
    names[1:][keep] = np.arange(1, keep.sum() + 1)
    labels = np.zeros(math.prod(shape), np.int32)
    kernels.paint_labels(grid, tiles, names, labels)
    place, raster, claimed = found[keep].T
    clusters = Clusters(
        labels.reshape(shape),
        np.stack(np.unravel_index(raster, shape), axis=1).astype(np.int64),
        np.ascontiguousarray(shapes[keep, :ndim]),
        tiles.score[place],
        sizes[keep],
        np.ascontiguousarray(claimed),
        kernels.compactness(tiles, shapes)[keep].astype(np.float32),
    )
    _scratch.trim()
    return clusters


def _grid(shape: PerAxis, options: ClusterOptions) -> kernels.Grid:
    """Return the pixel grid, with Z = 1 for 2D."""
    ndim = len(shape)
    depth, height, width = (1,) * (3 - ndim) + shape
    tile, group = TILES[ndim]
    groups = [-(-n // (t * g)) for n, t, g in zip((depth, height, width), tile, group, strict=True)]
    z, y, x = (0,) * (3 - ndim) + (options.origin or (0,) * ndim)
    return kernels.Grid(
        ndim,
        (depth, height, width),
        (groups[0], groups[1], groups[2]),
        np.asarray(options.spacing, np.float32),
        (z, y, x),
    )


def _flat_maps(arrays: list[NDArray[Any]], activations: tuple[str, str], ndim: int) -> kernels.Maps:
    """Return the maps flat: float16 as its bits, with tables, and everything else as float32."""
    if all(array.dtype == np.float16 for array in arrays):
        arrays = [np.ascontiguousarray(array).view(np.int16) for array in arrays]
        offset_table, seed_table = map(activation_table, activations)
        tables = offset_table, activation_table("none"), seed_table
    else:
        arrays = [np.ascontiguousarray(array, np.float32) for array in arrays]
        tables = (np.zeros(0, np.float32),) * 3
    offset, bandwidth, seed = arrays
    return kernels.Maps(
        offset.reshape(ndim, seed.size), bandwidth.reshape(ndim, seed.size), seed.ravel(), tables
    )


def _tiles(
    maps: kernels.Maps, grid: kernels.Grid, options: ClusterOptions, activations: tuple[str, str]
) -> tuple[kernels.Tiles, NDArray[np.float64]]:
    """Return the foreground in tiles, and the largest distance of an embedding from its pixel."""
    ndim, number = grid.ndim, math.prod(grid.groups) * kernels.PER_GROUP
    unit, threshold = np.float32(options.unit), np.float32(options.fg_threshold)
    cutoff = background_cutoff(maps.seed, activations[1], threshold)
    start = np.zeros(number + 1, np.int64)
    n = kernels.count_foreground(maps.seed, cutoff, grid, start)
    boxes = np.empty((2 * ndim, number), np.float32)
    boxes[:ndim], boxes[ndim:] = np.inf, -np.inf
    tiles = kernels.Tiles(
        start,
        start[:-1].copy(),
        boxes,
        _scratch.take("embedding", (ndim, n), np.float32),
        _scratch.take("score", (n,), np.float32),
        _scratch.take("label", (n,), np.int32),
        _scratch.take("local", (n,), np.uint8),
    )
    reach = np.zeros(ndim)
    # Only numpy's own tanh gives numpy's values, so it comes between collecting and embedding.
    later = maps.seed.dtype == np.float32 and activations != ("none", "none")
    kernels.gather_foreground(maps, cutoff, grid, tiles, not later, unit, threshold, reach)
    if later:
        activate(activations[0], tiles.embedding, tiles.embedding)
        activate(activations[1], tiles.score, tiles.score)
        kernels.embed_tiles(grid, tiles, unit, threshold, reach)
    return tiles, reach


def _rules(options: ClusterOptions) -> kernels.Rules:
    """Return the options as the kernels need them."""
    least_weight = np.zeros(options.ndim)
    if options.max_radius is not None:
        radius = options.max_radius * np.asarray(options.spacing, np.float64)
        least_weight = math.log(2) / radius**2
    greedy = options.seeds == "greedy"
    # Positive floats are in the order of their bits; no seed has none set.
    lowest_bits = int(np.float32(options.seed_threshold).view(np.int32)) if greedy else 1
    return kernels.Rules(
        float(options.bandwidth_scale),
        float(options.unit),
        least_weight,
        max(lowest_bits, 1),
        int(options.min_object_size),
        greedy,
    )


class _Scratch(threading.local):
    """Arrays of one thread, kept for the next image."""

    def __init__(self) -> None:
        self.flat: dict[str, NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """Return an array with arbitrary values."""
        size = math.prod(shape)
        flat = self.flat.get(name)
        if flat is None or len(flat) < size:
            self.flat.pop(name, None)
            flat = self.flat[name] = np.empty(size, dtype)
        return flat[:size].reshape(shape)

    def trim(self) -> None:
        """Keep no more than `KEEP`."""
        if sum(flat.nbytes for flat in self.flat.values()) > KEEP:
            self.flat.clear()


_scratch = _Scratch()

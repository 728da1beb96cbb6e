"""Compiled parts of `embedseg.clustering`.

Images are (Z, Y, X), with Z = 1 for 2D, and maps are flat. The grid is cut into tiles of 256
pixels, and the tiles into groups of 64. The foreground is stored tile after tile, in raster order
within a tile. Each tile and each group knows the box that its embeddings lie in, and each tile its
best free seed: a proposal looks at the groups and then at the tiles whose boxes it touches, and
there at every pixel, in straight runs that compile to vector instructions. Nothing is sorted.

In the order of use::

    count_foreground    pixels of each tile that may be foreground
    gather_foreground   their offsets and seeds, tile by tile
        mark_foreground, list_ones, copy_pixels
    embed_tiles         offsets -> embeddings, and the boxes around them
        embed_tile, embed_axis, axis_extent
    keep_peaks          seeds that are peaks only
    grow_objects        objects, the best seed first
        group_boxes, find_best_seed, update_best_seed
        start_search, set_search_axis
        propose_object, list_near_tiles, mark_touching, mark_members
        assign_members or discard_members
    refine_objects      every pixel to the nearest object
        sum_members, list_near_tiles, assign_nearer
    seed_shapes         centres and weights of objects that were not refined
    paint_labels        label image
    compactness         mean likelihood of each object

All of it is in one file because numba's cache notices changes in a function's own file only.
Loops over unsigned indices are on purpose: those need no check for negative ones, which would
keep the compiler from using vector instructions.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

Array = NDArray[Any]
Triple = tuple[int, int, int]

LN2 = np.float32(math.log(2))
#: Largest finite float32.
LARGEST = np.finfo(np.float32).max
#: Labels of pixels that no object has: still free, and members of a rejected proposal.
FREE, LOST = np.int32(0), np.int32(-1)
#: Tiles of a group, and lines of 16 pixels of a tile.
PER_GROUP = 64
LINES = 16

compiled = numba.njit(cache=True, nogil=True)
# Passing many arrays to a function costs more than a small function does.
inlined = numba.njit(cache=True, nogil=True, forceinline=True)


class Grid(NamedTuple):
    """The pixel grid."""

    ndim: int
    shape: Triple  # in pixels
    groups: Triple  # number of groups along each axis
    spacing: NDArray[np.float32]  # (ndim,)
    start: Triple  # index of the first pixel in the image that a block is cut from


class Maps(NamedTuple):
    """Maps, flat: float32, or float16 as int16 bits with the tables to read it by."""

    offset: Array  # (ndim, pixels)
    bandwidth: Array  # (ndim, pixels)
    seed: Array  # (pixels,)
    tables: tuple[Array, Array, Array]  # offset, bandwidth, seed: (65536,) float32


class Tiles(NamedTuple):
    """The foreground, tile by tile; tile t owns start[t] to stop[t]."""

    start: NDArray[np.int64]  # (tiles + 1,)
    stop: NDArray[np.int64]  # (tiles,)
    boxes: NDArray[np.float32]  # (2 * ndim, tiles): lowest, then highest embeddings
    embedding: NDArray[np.float32]  # (ndim, n): offset, then embedding
    score: NDArray[np.float32]  # (n,): seed probability, 0 for no seed
    label: NDArray[np.int32]  # (n,): 0 is free, -1 is assigned to no object
    local: NDArray[np.uint8]  # (n,): place in the tile


class Rules(NamedTuple):
    """Options, as the kernels need them."""

    scale: float  # factor in the exponent of the weights
    unit: float  # µm
    least_weight: NDArray[np.float64]  # (ndim,): least weights, from the largest radius
    lowest_bits: int  # bits of the lowest score of a seed
    min_object_size: int
    mark_rejected: bool  # whether members of a rejected proposal are free no longer


class Search(NamedTuple):
    """One proposal and its members."""

    centre: NDArray[np.float32]  # (ndim,)
    weight: NDArray[np.float32]  # (ndim,)
    max_q: NDArray[np.float32]  # (1,): largest q of a member
    low: NDArray[np.float32]  # (ndim,): the box that members may lie in
    high: NDArray[np.float32]
    window: NDArray[np.int64]  # (3, 2): groups whose pixels it may reach
    near: NDArray[np.uint8]  # (64,): tiles of a group to look at
    seen: NDArray[np.int64]  # (tiles, 2): tiles with members, and their place in `is_member`
    is_member: NDArray[np.uint8]  # (n,): 1 for members


# Reading float32, or float16 by its bits -------------------------------------------------------


def _above(value: Any, cutoff: Any) -> Any:
    """Return whether a stored seed exceeds `cutoff`."""


def _read_value(value: Any, table: Any) -> Any:
    """Return a stored value as float32; of float16, by a table."""


def _finite(value: Any) -> Any:
    """Return whether a stored value is finite."""


def _not_nan(value: Any) -> Any:
    """Return whether a stored value is not NaN."""


@overload(_above)
def _above_typed(value: Any, cutoff: Any) -> Any:
    # Bits of float16, mirrored if negative, are in the order of the numbers.
    def half(value: Any, cutoff: Any) -> Any:
        return (value ^ ((value >> 15) & 0x7FFF)) > cutoff

    def single(value: Any, cutoff: Any) -> Any:
        return value > cutoff

    return half if isinstance(value, numba.types.Integer) else single


@overload(_read_value)
def _read_value_typed(value: Any, table: Any) -> Any:
    def half(value: Any, table: Any) -> Any:
        return table[value & 0xFFFF]

    def single(value: Any, table: Any) -> Any:
        return value

    return half if isinstance(value, numba.types.Integer) else single


@overload(_finite)
def _finite_typed(value: Any) -> Any:
    def half(value: Any) -> Any:
        return (value & 0x7C00) != 0x7C00

    def single(value: Any) -> Any:
        return abs(value) <= LARGEST

    return half if isinstance(value, numba.types.Integer) else single


@overload(_not_nan)
def _not_nan_typed(value: Any) -> Any:
    def half(value: Any) -> Any:
        return (value & 0x7FFF) <= 0x7C00

    def single(value: Any) -> Any:
        return not math.isnan(value)

    return half if isinstance(value, numba.types.Integer) else single


# Tiles and groups ------------------------------------------------------------------------------


@compiled
def tile_shape(ndim: int) -> tuple[Triple, Triple]:
    """Return the sides of a tile, and those of a group counted in tiles."""
    return ((1, 16, 16), (1, 8, 8)) if ndim == 2 else ((4, 4, 16), (4, 4, 4))


@inlined
def tile_number(z: int, y: int, x: int, grid: Grid) -> int:
    """Return the number of the tile at place (z, y, x) of the grid of tiles, group by group."""
    if grid.ndim == 2:
        return ((y >> 3) * grid.groups[2] + (x >> 3)) * PER_GROUP + ((y & 7) << 3) + (x & 7)
    group = ((z >> 2) * grid.groups[1] + (y >> 2)) * grid.groups[2] + (x >> 2)
    return group * PER_GROUP + ((z & 3) << 4) + ((y & 3) << 2) + (x & 3)


@inlined
def tile_origin(t: int, grid: Grid) -> Triple:
    """Return the index of the first pixel of a tile."""
    group = t >> 6
    gx = group % grid.groups[2]
    gy = (group // grid.groups[2]) % grid.groups[1]
    gz = group // (grid.groups[2] * grid.groups[1])
    if grid.ndim == 2:
        return 0, (gy * 8 + ((t >> 3) & 7)) * 16, (gx * 8 + (t & 7)) * 16
    return ((gz * 4 + ((t >> 4) & 3)) * 4, (gy * 4 + ((t >> 2) & 3)) * 4, (gx * 4 + (t & 3)) * 16)


@compiled
def raster_offsets(grid: Grid) -> Any:
    """Return how far each of a tile's 256 places is from its first pixel, in raster order."""
    local = np.arange(256)
    z, y = (local >> 6, (local >> 4) & 3) if grid.ndim == 3 else (local * 0, local >> 4)
    return (z * grid.shape[1] + y) * grid.shape[2] + (local & 15)


@inlined
def raster_start(t: int, grid: Grid) -> int:
    """Return the flat index of the first pixel of a tile."""
    z, y, x = tile_origin(t, grid)
    return (z * grid.shape[1] + y) * grid.shape[2] + x


# Building --------------------------------------------------------------------------------------


@compiled
def count_foreground(seed: Array, cutoff: Any, grid: Grid, start: NDArray[np.int64]) -> int:
    """Count the pixels of each tile that may be foreground: set `start`, return the sum.

    `cutoff` is the highest stored seed that is certainly background.
    """
    depth, height, width = grid.shape
    tile = tile_shape(grid.ndim)[0]
    mask = np.zeros((width + 15) // 16 * 16, np.uint8)
    words = mask.view(np.uint64)
    start[:] = 0
    for z in range(depth):
        for y in range(height):
            first = np.uint64((z * height + y) * width)
            for x in range(np.uint64(width)):
                mask[x] = _above(seed[first + x], cutoff)
            for tx in range((width + 15) // 16):
                start[tile_number(z // tile[0], y // tile[1], tx, grid)] += count_ones(words, tx)
    total = 0
    for t in range(len(start)):
        n = start[t]
        start[t] = total
        total += n
    return total


@inlined
def count_ones(words: NDArray[np.uint64], tx: int) -> Any:
    """Return how many of 16 bytes are 1; the others are 0."""
    # The product has the sum of all bytes in its highest byte.
    both = words[2 * tx] + words[2 * tx + 1]
    return np.int64((both * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled
def mark_foreground(maps: Maps, cutoff: Any, first: int, mask: NDArray[np.uint8]) -> None:
    """Mark the pixels of a line, from the flat index `first` on, that may be foreground.

    Looking at offsets too brings them into the cache in the order that memory likes.
    """
    start = np.uint64(first)
    for x in range(np.uint64(len(mask))):
        mask[x] = _above(maps.seed[start + x], cutoff)
    for d in range(maps.offset.shape[0]):
        for x in range(np.uint64(len(mask))):
            good = _finite(maps.bandwidth[d, start + x]) & _not_nan(maps.offset[d, start + x])
            mask[x] &= good


@compiled
def gather_foreground(
    maps: Maps,
    cutoff: Any,
    grid: Grid,
    tiles: Tiles,
    activated: bool,
    unit: Any,
    threshold: Any,
    reach: NDArray[np.float64],
) -> None:
    """Collect offset and seed of the pixels that may be foreground, tile by tile.

    Lines are marked in the order of memory, a row of tiles at a time; then each tile is written
    in one go. Tiles of activated maps are embedded at once, while they are in the cache.
    """
    depth, height, width = grid.shape
    tile = tile_shape(grid.ndim)[0]
    mask = np.zeros((LINES, (width + 15) // 16 * 16), np.uint8)
    words = mask.view(np.uint64)
    places = np.zeros(17, np.uint8)
    for z0 in range(0, depth, tile[0]):
        for y0 in range(0, height, tile[1]):
            for line in range(LINES):
                z, y = z0 + line // tile[1], y0 + line % tile[1]
                if z < depth and y < height:
                    mark_foreground(maps, cutoff, (z * height + y) * width, mask[line, :width])
                else:
                    mask[line] = 0
            for tx in range((width + 15) // 16):
                t = tile_number(z0 // tile[0], y0 // tile[1], tx, grid)
                to = tiles.start[t]
                if to == tiles.start[t + 1]:
                    continue
                for line in range(LINES):
                    n = count_ones(words[line], tx)
                    if n:
                        z, y = z0 + line // tile[1], y0 + line % tile[1]
                        list_ones(mask[line], tx * 16, places)
                        copy_pixels(
                            maps, (z * height + y) * width + tx * 16, line, tiles, to, places, n
                        )
                        to += n
                tiles.stop[t] = to
                if activated:
                    embed_tile(t, grid, tiles, unit, threshold, reach)


@inlined
def list_ones(mask: NDArray[np.uint8], first: int, places: NDArray[np.uint8]) -> None:
    """List the places of the ones among 16 bytes."""
    n = 0
    for i in range(16):
        places[n] = i
        n += mask[first + i]


@inlined
def copy_pixels(
    maps: Maps, source: int, line: int, tiles: Tiles, to: int, places: NDArray[np.uint8], n: int
) -> None:
    """Collect the n pixels of a line at given places."""
    embedding, base = tiles.embedding, np.uint8(16 * line)
    for i in range(np.uint64(n)):
        at, k = np.uint64(source) + places[i], np.uint64(to) + i
        embedding[0, k] = _read_value(maps.offset[0, at], maps.tables[0])
        embedding[1, k] = _read_value(maps.offset[1, at], maps.tables[0])
        if len(embedding) == 3:
            embedding[2, k] = _read_value(maps.offset[2, at], maps.tables[0])
        tiles.score[k] = _read_value(maps.seed[at], maps.tables[2])
        tiles.local[k] = base + places[i]


@compiled
def embed_tiles(
    grid: Grid, tiles: Tiles, unit: Any, threshold: Any, reach: NDArray[np.float64]
) -> None:
    """Embed every tile."""
    for t in range(len(tiles.stop)):
        embed_tile(t, grid, tiles, unit, threshold, reach)


@compiled
def embed_tile(
    t: int, grid: Grid, tiles: Tiles, unit: Any, threshold: Any, reach: NDArray[np.float64]
) -> None:
    """Turn a tile's offsets into embeddings and box them; drop what is no foreground after all.

    `reach` grows to how far embeddings are from their pixels at most, along each axis.
    """
    ndim, score = grid.ndim, tiles.score
    tile = tile_shape(ndim)[0]
    first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
    origin = tile_origin(t, grid)
    for k in range(first, last):
        score[k] = score[k] if threshold < score[k] <= LARGEST else np.float32(0)
        tiles.label[k] = FREE
    shift = 0
    for d in range(ndim - 1, -1, -1):
        axis = 3 - ndim + d
        embed_axis(
            tiles,
            first,
            last,
            d,
            shift,
            tile[axis] - 1,
            origin[axis] + grid.start[axis],
            grid.spacing[d],
            unit,
        )
        shift += 4 if tile[axis] == 16 else 2
    for d in range(ndim):
        axis = 3 - ndim + d
        low, high = axis_extent(tiles.embedding, score, first, last, d)
        tiles.boxes[d, t], tiles.boxes[ndim + d, t] = low, high
        if low <= high:
            begin = float(origin[axis] + grid.start[axis]) * grid.spacing[d]
            end = float(origin[axis] + grid.start[axis] + tile[axis]) * grid.spacing[d]
            reach[d] = max(reach[d], end - low, high - begin)


@inlined
def embed_axis(
    tiles: Tiles,
    first: Any,
    last: Any,
    d: int,
    shift: int,
    side: int,
    origin: int,
    spacing: Any,
    unit: Any,
) -> None:
    """Turn offsets along one axis into embeddings."""
    embedding, score, local = tiles.embedding, tiles.score, tiles.local
    bits, low = np.uint8(shift), np.int32(origin)
    for k in range(first, last):
        index = np.int32(low + np.int32((local[k] >> bits) & np.uint8(side)))
        value = np.float32(index) * spacing + unit * embedding[d, k]
        embedding[d, k] = value
        score[k] = score[k] if abs(value) <= LARGEST else np.float32(0)


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath={"nnan", "nsz"})
def axis_extent(embedding: Array, score: Array, first: Any, last: Any, d: int) -> tuple[Any, Any]:
    """Return the lowest and highest embedding of a tile; move dropped pixels to infinity.

    No NaN reaches a comparison, and fastmath lets the loop become vector instructions.
    """
    inf = np.float32(np.inf)
    low, high = inf, -inf
    for k in range(first, last):
        usable = score[k] > 0
        value = embedding[d, k] if usable else inf
        embedding[d, k] = value
        low = min(low, value)
        high = max(high, value if usable else -inf)
    return low, high


@compiled
def keep_peaks(grid: Grid, tiles: Tiles, peaks: NDArray[np.bool_]) -> None:
    """Leave only peaks, marked in a flat image, as seeds."""
    offsets = raster_offsets(grid)
    for t in range(len(tiles.stop)):
        first = raster_start(t, grid)
        for k in range(tiles.start[t], tiles.stop[t]):
            if not peaks[first + offsets[tiles.local[k]]]:
                tiles.score[k] = 0


# Growing ---------------------------------------------------------------------------------------


@compiled
def group_boxes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the boxes of the groups."""
    ndim = boxes.shape[0] // 2
    out = np.empty((2 * ndim, boxes.shape[1] // PER_GROUP), np.float32)
    for g in range(out.shape[1]):
        for d in range(ndim):
            out[d, g] = boxes[d, g * PER_GROUP : (g + 1) * PER_GROUP].min()
            out[ndim + d, g] = boxes[ndim + d, g * PER_GROUP : (g + 1) * PER_GROUP].max()
    return out


@inlined
def find_best_seed(tiles: Tiles, t: int) -> tuple[Any, int]:
    """Return the bits of the highest free score of a tile, and where it is first."""
    bits, label = tiles.score.view(np.int32), tiles.label
    first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
    best, at = np.int32(0), np.int32(0)
    for k in range(first, last):
        best = max(best, bits[k] if label[k] == FREE else np.int32(0))
    if best:
        at = np.int32(256)
        for k in range(first, last):
            here = bits[k] == best and label[k] == FREE
            at = min(at, np.int32(k - first) if here else np.int32(256))
    return best, tiles.start[t] + at


@compiled
def update_best_seed(
    t: int, lowest_bits: int, grid: Grid, tiles: Tiles, offsets: Array, tree: Array, best: Array
) -> None:
    """Find a tile's best free seed, and set its leaf in the tree of maxima.

    Keys are ordered by score, then by the raster index, the lower the better.
    """
    bits, k = find_best_seed(tiles, t)
    best[t] = k
    key = 0
    if bits >= lowest_bits:
        raster = raster_start(t, grid) + offsets[tiles.local[k]]
        key = (np.int64(bits) << 32) | (0xFFFFFFFF - raster)
    i = (len(tree) >> 1) + t
    tree[i] = key
    while i > 1:
        i >>= 1
        key = max(tree[2 * i], tree[2 * i + 1])
        if tree[i] == key:
            break
        tree[i] = key


@compiled
def start_search(
    k: int,
    raster: int,
    maps: Maps,
    grid: Grid,
    tiles: Tiles,
    rules: Rules,
    reach: NDArray[np.float64],
    search: Search,
) -> None:
    """Start the search for the members of one seed."""
    search.window[:, 0], search.window[:, 1] = 0, 1
    for d in range(grid.ndim):
        search.centre[d] = tiles.embedding[d, k]
        bandwidth = _read_value(maps.bandwidth[d, raster], maps.tables[1])
        set_search_axis(d, bandwidth, grid, rules, reach, search)


@inlined
def set_search_axis(
    d: int, bandwidth: Any, grid: Grid, rules: Rules, reach: NDArray[np.float64], search: Search
) -> None:
    """Set weight, box and window of a search along one axis, by its centre and bandwidth."""
    tile, group = tile_shape(grid.ndim)
    low, high, centre = search.low, search.high, search.centre[d]
    grown = math.exp(rules.scale * bandwidth) / (rules.unit * rules.unit)
    weight = np.float32(max(grown, rules.least_weight[d]))
    # Wider by more than rounding in float32 can be worth.
    radius = math.sqrt(float(search.max_q[0]) / weight) * (1 + 1e-5) if weight > 0 else np.inf
    search.weight[d] = weight
    low[d], high[d] = centre - radius, centre + radius
    axis = 3 - grid.ndim + d
    side = float(grid.spacing[d]) * tile[axis] * group[axis]
    groups, start = float(grid.groups[axis]), float(grid.start[axis]) * grid.spacing[d]
    search.window[axis, 0] = int(min(max((low[d] - reach[d] - start) / side - 0.01, 0.0), groups))
    search.window[axis, 1] = int(min(max((high[d] + reach[d] - start) / side + 1.01, 0.0), groups))


@inlined
def mark_touching(boxes: Array, first: int, search: Search, near: NDArray[np.uint8]) -> None:
    """Mark the boxes, from the first on, that overlap the box of the search."""
    ndim, start = len(search.low), np.uint64(first)
    for d in range(ndim):
        low, high = search.low[d], search.high[d]
        for i in range(np.uint64(len(near))):
            hit = (boxes[d, start + i] <= high) & (boxes[ndim + d, start + i] >= low)
            near[i] = hit if d == 0 else near[i] & hit


@inlined
def mark_members(tiles: Tiles, t: int, search: Search, at: int) -> tuple[Any, Any]:
    """Mark the members among the pixels of a tile; return how many, and how many are free."""
    embedding, label, is_member = tiles.embedding, tiles.label, search.is_member
    first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
    shift = np.uint64(at) - first
    n, free = np.int32(0), np.int32(0)
    c0, c1 = search.centre[0], search.centre[1]
    w0, w1, max_q = search.weight[0], search.weight[1], search.max_q[0]
    if embedding.shape[0] == 2:
        for k in range(first, last):
            a, b = embedding[0, k] - c0, embedding[1, k] - c1
            hit = w0 * (a * a) + w1 * (b * b) <= max_q
            is_member[k + shift] = hit
            n += np.int32(hit)
            free += np.int32(hit & (label[k] == FREE))
        return n, free
    c2, w2 = search.centre[2], search.weight[2]
    for k in range(first, last):
        a, b, c = embedding[0, k] - c0, embedding[1, k] - c1, embedding[2, k] - c2
        hit = w0 * (a * a) + w1 * (b * b) + w2 * (c * c) <= max_q
        is_member[k + shift] = hit
        n += np.int32(hit)
        free += np.int32(hit & (label[k] == FREE))
    return n, free


@compiled
def list_near_tiles(grid: Grid, tiles: Tiles, coarse: Array, search: Search) -> int:
    """List the tiles whose boxes overlap that of the search; return how many."""
    seen, window, near, inside = 0, search.window, search.near, np.empty(1, np.uint8)
    for gz in range(window[0, 0], window[0, 1]):
        for gy in range(window[1, 0], window[1, 1]):
            for gx in range(window[2, 0], window[2, 1]):
                g = (gz * grid.groups[1] + gy) * grid.groups[2] + gx
                mark_touching(coarse, g, search, inside)
                if not inside[0]:
                    continue
                mark_touching(tiles.boxes, g * PER_GROUP, search, near)
                for i in range(PER_GROUP):
                    if near[i]:
                        search.seen[seen, 0] = g * PER_GROUP + i
                        seen += 1
    return seen


@compiled
def propose_object(grid: Grid, tiles: Tiles, coarse: Array, search: Search) -> tuple[int, int, int]:
    """Mark all members; return how many tiles have some, how many there are, how many are free."""
    seen, n, free, at = 0, 0, 0, 0
    for i in range(list_near_tiles(grid, tiles, coarse, search)):
        t = search.seen[i, 0]
        m, f = mark_members(tiles, t, search, at)
        if m:
            search.seen[seen, 0], search.seen[seen, 1] = t, at
            seen += 1
            at += tiles.stop[t] - tiles.start[t]
            n += m
            free += f
    return seen, n, free


@compiled
def assign_members(
    tiles: Tiles, search: Search, seen: int, number: int, sizes: Array, takes: bool
) -> None:
    """Label the members with their object, and count the pixels it takes from others."""
    label, is_member = tiles.label, search.is_member
    for i in range(seen):
        t, at = search.seen[i]
        first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
        shift = np.uint64(at) - first
        if takes:
            for k in range(first, last):
                if is_member[k + shift] and label[k] > 0:
                    sizes[label[k]] -= 1
        for k in range(first, last):
            label[k] = number if is_member[k + shift] else label[k]


@compiled
def discard_members(tiles: Tiles, search: Search, seen: int) -> None:
    """Mark the free members of a rejected proposal as taken."""
    label, is_member = tiles.label, search.is_member
    for i in range(seen):
        t, at = search.seen[i]
        first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
        shift = np.uint64(at) - first
        for k in range(first, last):
            label[k] = LOST if is_member[k + shift] and label[k] == FREE else label[k]


@compiled
def new_search(ndim: int, tiles: int, is_member: NDArray[np.uint8]) -> Search:
    """Allocate a search."""
    return Search(
        np.empty(ndim, np.float32),
        np.empty(ndim, np.float32),
        np.full(1, LN2),
        np.empty(ndim, np.float32),
        np.empty(ndim, np.float32),
        np.empty((3, 2), np.int64),
        np.empty(PER_GROUP, np.uint8),
        np.empty((tiles, 2), np.int64),
        is_member,
    )


@compiled
def grow_objects(
    maps: Maps,
    grid: Grid,
    tiles: Tiles,
    rules: Rules,
    reach: NDArray[np.float64],
    is_member: NDArray[np.uint8],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grow objects seed by seed; return rows of (place, raster index, members), and sizes."""
    total, leaves = len(tiles.stop), 1
    while leaves < total:
        leaves *= 2
    tree, best = np.zeros(2 * leaves, np.int64), np.zeros(total, np.int64)
    offsets, coarse = raster_offsets(grid), group_boxes(tiles.boxes)
    for t in range(total):
        if tiles.stop[t] > tiles.start[t]:
            update_best_seed(t, rules.lowest_bits, grid, tiles, offsets, tree, best)
    search = new_search(grid.ndim, total, is_member)
    found, sizes, number = np.empty((64, 3), np.int64), np.zeros(65, np.int64), 0
    while tree[1] > 0:
        i = 1
        while i < leaves:
            i = 2 * i if tree[2 * i] == tree[1] else 2 * i + 1
        k, raster = best[i - leaves], 0xFFFFFFFF - (tree[1] & 0xFFFFFFFF)
        tiles.label[k] = LOST
        start_search(k, raster, maps, grid, tiles, rules, reach, search)
        seen, n, free = propose_object(grid, tiles, coarse, search)
        if n > rules.min_object_size and 2 * free > n:
            number += 1
            if number > len(found):
                found = np.concatenate((found, np.empty_like(found)))
                sizes = np.concatenate((sizes, np.zeros_like(sizes)))
            found[number - 1, 0], found[number - 1, 1], found[number - 1, 2] = k, raster, n
            sizes[number] = n
            assign_members(tiles, search, seen, number, sizes, free + 1 < n)
        elif rules.mark_rejected:
            discard_members(tiles, search, seen)
        else:
            tiles.label[k], tiles.score[k] = FREE, 0
            seen = 0
        # Tiles whose best seed is taken get a new one while they are in the cache.
        for j in range(seen):
            t = search.seen[j, 0]
            if tiles.label[best[t]] != FREE:
                update_best_seed(t, rules.lowest_bits, grid, tiles, offsets, tree, best)
        update_best_seed(i - leaves, rules.lowest_bits, grid, tiles, offsets, tree, best)
    return found[:number], sizes[1 : number + 1]


# Refining --------------------------------------------------------------------------------------


@compiled
def sum_members(maps: Maps, grid: Grid, tiles: Tiles, objects: int) -> NDArray[np.float64]:
    """Return sums over the members of each object: embeddings, then raw bandwidths."""
    ndim, offsets, embedding, table = (
        grid.ndim,
        raster_offsets(grid),
        tiles.embedding,
        maps.tables[1],
    )
    out = np.zeros((objects + 1, 2 * ndim), np.float64)
    for t in range(len(tiles.stop)):
        start, k, stop = raster_start(t, grid), tiles.start[t], tiles.stop[t]
        while k < stop:
            # Neighbours mostly belong to one object: their sums wait in registers.
            number = tiles.label[k]
            e0 = e1 = e2 = s0 = s1 = s2 = 0.0
            while k < stop and tiles.label[k] == number:
                at = start + offsets[tiles.local[k]]
                e0, s0 = e0 + embedding[0, k], s0 + _read_value(maps.bandwidth[0, at], table)
                e1, s1 = e1 + embedding[1, k], s1 + _read_value(maps.bandwidth[1, at], table)
                if ndim == 3:
                    e2, s2 = e2 + embedding[2, k], s2 + _read_value(maps.bandwidth[2, at], table)
                k += 1
            if number > 0:
                out[number, 0] += e0
                out[number, 1] += e1
                out[number, ndim] += s0
                out[number, ndim + 1] += s1
                if ndim == 3:
                    out[number, 2] += e2
                    out[number, 5] += s2
    return out


@inlined
def assign_nearer(
    tiles: Tiles, t: int, search: Search, number: Any, best: NDArray[np.float32]
) -> None:
    """Assign to an object the pixels of a tile that are nearer to it than to those before."""
    embedding, label = tiles.embedding, tiles.label
    first, last = np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])
    c0, c1 = search.centre[0], search.centre[1]
    w0, w1, max_q = search.weight[0], search.weight[1], search.max_q[0]
    if embedding.shape[0] == 2:
        for k in range(first, last):
            a, b = embedding[0, k] - c0, embedding[1, k] - c1
            q = w0 * (a * a) + w1 * (b * b)
            nearer = (q <= max_q) & (q < best[k])
            best[k] = q if nearer else best[k]
            label[k] = number if nearer else label[k]
        return
    c2, w2 = search.centre[2], search.weight[2]
    for k in range(first, last):
        a, b, c = embedding[0, k] - c0, embedding[1, k] - c1, embedding[2, k] - c2
        q = w0 * (a * a) + w1 * (b * b) + w2 * (c * c)
        nearer = (q <= max_q) & (q < best[k])
        best[k] = q if nearer else best[k]
        label[k] = number if nearer else label[k]


@compiled
def refine_objects(
    maps: Maps,
    grid: Grid,
    tiles: Tiles,
    rules: Rules,
    reach: NDArray[np.float64],
    is_member: NDArray[np.uint8],
    best: NDArray[np.float32],
    sizes: NDArray[np.int64],
    max_q: Any,
) -> NDArray[np.float32]:
    """Assign every foreground pixel to the nearest object; return rows of (*centre, *weight).

    Centres and bandwidths are the means over an object's members; q is at most `max_q`. Sizes
    change in place.
    """
    ndim, total = grid.ndim, sum_members(maps, grid, tiles, len(sizes))
    shapes = np.zeros((len(sizes), 2 * ndim), np.float32)
    search, coarse = new_search(ndim, len(tiles.stop), is_member), group_boxes(tiles.boxes)
    search.max_q[0] = max_q
    search.window[:, 0], search.window[:, 1] = 0, 1
    tiles.label[:], best[:] = LOST, np.float32(np.inf)
    for number in range(1, len(sizes) + 1):
        n = sizes[number - 1]
        if n <= rules.min_object_size:
            continue
        for d in range(ndim):
            search.centre[d] = shapes[number - 1, d] = np.float32(total[number, d] / n)
            set_search_axis(d, total[number, ndim + d] / n, grid, rules, reach, search)
            shapes[number - 1, ndim + d] = search.weight[d]
        for i in range(list_near_tiles(grid, tiles, coarse, search)):
            assign_nearer(tiles, search.seen[i, 0], search, np.int32(number), best)
    sizes[:] = 0
    for t in range(len(tiles.stop)):
        for k in range(tiles.start[t], tiles.stop[t]):
            if tiles.label[k] > 0:
                sizes[tiles.label[k] - 1] += 1
    return shapes


@compiled
def seed_shapes(
    found: NDArray[np.int64], maps: Maps, grid: Grid, tiles: Tiles, rules: Rules
) -> NDArray[np.float32]:
    """Return rows of (*centre, *weight) of the seeds."""
    shapes = np.empty((len(found), 2 * grid.ndim), np.float32)
    for i in range(len(found)):
        for d in range(grid.ndim):
            bandwidth = _read_value(maps.bandwidth[d, found[i, 1]], maps.tables[1])
            grown = math.exp(rules.scale * bandwidth) / (rules.unit * rules.unit)
            shapes[i, d] = tiles.embedding[d, found[i, 0]]
            shapes[i, grid.ndim + d] = np.float32(max(grown, rules.least_weight[d]))
    return shapes


@compiled
def compactness(tiles: Tiles, shapes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean likelihood, exp(-q), of the pixels of each object; 0 where there are none."""
    ndim = tiles.embedding.shape[0]
    total, n = np.zeros(len(shapes)), np.zeros(len(shapes), np.int64)
    for t in range(len(tiles.stop)):
        for k in range(tiles.start[t], tiles.stop[t]):
            if tiles.label[k] > 0:
                i, q = tiles.label[k] - 1, np.float32(0)
                for d in range(ndim):
                    away = tiles.embedding[d, k] - shapes[i, d]
                    q += shapes[i, ndim + d] * (away * away)
                total[i] += math.exp(-q)
                n[i] += 1
    return total / np.maximum(n, 1)


@compiled
def paint_labels(
    grid: Grid, tiles: Tiles, names: NDArray[np.int32], labels: NDArray[np.int32]
) -> None:
    """Write the flat label image; `names` gives each object's final number."""
    offsets = raster_offsets(grid)
    for t in range(len(tiles.stop)):
        first = raster_start(t, grid)
        for k in range(np.uint64(tiles.start[t]), np.uint64(tiles.stop[t])):
            if tiles.label[k] > 0:
                labels[first + offsets[tiles.local[k]]] = names[tiles.label[k]]

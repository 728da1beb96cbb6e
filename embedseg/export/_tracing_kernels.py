"""Compiled parts of outline tracing."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

#: Steps to the right, down, left, up; an object's pixels lie to the right-hand side of its way.
STEP_X, STEP_Y = (1, 0, -1, 0), (0, 1, 0, -1)
UP = 3


@numba.njit(cache=True, nogil=True)
def crop(plane: NDArray[np.int32], label: int, box: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where an object is in a box (y, y, x, x), with a pixel of background around it."""
    y, x = box[0], box[2]
    inside = np.zeros((box[1] - y + 2, box[3] - x + 2), np.bool_)
    for i in range(box[1] - y):
        for j in range(box[3] - x):
            inside[i + 1, j + 1] = plane[y + i, x + j] == label
    return inside


@numba.njit(cache=True, nogil=True)
def count_corners(inside: NDArray[np.bool_]) -> int:
    """Return how many corners the outlines have; where pixels meet diagonally there are two."""
    count = 0
    for y in range(1, inside.shape[0]):
        for x in range(1, inside.shape[1]):
            a, b = inside[y - 1, x - 1], inside[y - 1, x]
            c, d = inside[y, x - 1], inside[y, x]
            if a != (b != (c != d)):
                count += 1
            elif a == d and b == c and a != b:
                count += 2
    return count


@numba.njit(cache=True, nogil=True)
def trace(
    volume: NDArray[np.int32],
    labels: NDArray[np.int32],
    planes: NDArray[np.int64],
    boxes: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Trace objects, each in a plane and a box.

    Returns
    -------
    (n, 2) int32, (m,) int64, (m,) int32, (k,) int64 ndarray
        Corners x, y; where each ring ends among them; number of its piece, from 0, and negative
        (-1 - number) where the ring is a hole; where the rings of each job end.
    """
    corners = 0
    for job in range(len(labels)):
        corners += count_corners(crop(volume[planes[job]], labels[job], boxes[job]))
    points = np.empty((corners, 2), np.int32)
    ends, pieces = np.empty(corners // 4, np.int64), np.empty(corners // 4, np.int32)
    jobs = np.empty(len(labels), np.int64)
    filled = np.zeros(2, np.int64)
    for job in range(len(labels)):
        first = filled[0]
        _trace_one(crop(volume[planes[job]], labels[job], boxes[job]), points, ends, pieces, filled)
        points[first : filled[0], 0] += boxes[job, 2]
        points[first : filled[0], 1] += boxes[job, 0]
        jobs[job] = filled[1]
    return points, ends[: filled[1]], pieces[: filled[1]], jobs


@numba.njit(cache=True, nogil=True)
def _trace_one(inside: NDArray[np.bool_], points: Any, ends: Any, pieces: Any, filled: Any) -> None:
    """Follow each way along the left edges of pixels that was not gone yet."""
    gone = np.zeros(inside.shape, np.int32)
    seen = np.full(inside.shape, -1, np.int32)
    stack = np.empty((count_corners(inside), 2), np.int32)
    piece_of = np.empty(len(stack) // 4 + 1, np.int32)
    ways, count = 0, 0
    for y in range(1, inside.shape[0] - 1):
        for x in range(1, inside.shape[1] - 1):
            if not inside[y, x] or inside[y, x - 1] or gone[y, x]:
                continue
            ways += 1
            if inside[y - 1, x]:
                # The top of a hole: the pixel above it belongs to the piece around it.
                left = x - 1
                while inside[y - 1, left - 1]:
                    left -= 1
                piece_of[ways] = piece_of[gone[y - 1, left]]
            else:
                piece_of[ways] = count
                count += 1
            _go(inside, y, x, ways, gone, seen, stack, piece_of[ways], points, ends, pieces, filled)


@numba.njit(cache=True, nogil=True)
def _go(
    inside: Any,
    y0: int,
    x0: int,
    way: int,
    gone: Any,
    seen: Any,
    stack: Any,
    piece: int,
    points: Any,
    ends: Any,
    pieces: Any,
    filled: Any,
) -> None:
    """Go once around, from the upper end of a pixel's left edge.

    Where pixels of the object meet diagonally the way keeps to its pixel. If it comes there a
    second time, the way between becomes a separate ring: so no ring touches itself.
    """
    y, x, direction, depth = y0, x0, UP, 0
    while True:
        right = inside[y - (direction >= 2), x - (direction == 1 or direction == 2)]
        left = inside[y - (direction == 0 or direction == 3), x - (direction >= 2)]
        if not right or left:
            if not right and left and seen[y, x] >= 0:
                depth = _close(stack, seen[y, x], depth, seen, piece, points, ends, pieces, filled)
            else:
                if not right and left:
                    seen[y, x] = depth
                stack[depth, 0], stack[depth, 1] = x, y
                depth += 1
            direction = (direction + (1 if not right else 3)) % 4
        y, x = y + STEP_Y[direction], x + STEP_X[direction]
        if direction == UP:
            gone[y, x] = way
            if y == y0 and x == x0:
                break
    _close(stack, 0, depth, seen, piece, points, ends, pieces, filled)
    seen[stack[0, 1], stack[0, 0]] = -1


@numba.njit(cache=True, nogil=True)
def _close(
    stack: Any,
    start: int,
    depth: int,
    seen: Any,
    piece: int,
    points: Any,
    ends: Any,
    pieces: Any,
    filled: Any,
) -> int:
    """Store a ring, the end of the way gone so far; its first corner stays part of the rest."""
    first, area = filled[0], 0
    for k in range(start, depth):
        x, y = stack[k, 0], stack[k, 1]
        after = start if k + 1 == depth else k + 1
        area += x * stack[after, 1] - stack[after, 0] * y
        points[first + k - start, 0], points[first + k - start, 1] = x - 1, y - 1
        if k > start:
            seen[y, x] = -1
    filled[0] = first + depth - start
    ends[filled[1]] = filled[0]
    pieces[filled[1]] = piece if area > 0 else -1 - piece
    filled[1] += 1
    return start + 1

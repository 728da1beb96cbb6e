"""Overlaps of two label images: shared pixels, IoU, one-to-one pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.types import DataError, Indices, check_labels

if TYPE_CHECKING:
    from scipy import sparse


def overlap_table(
    first: NDArray[Any], second: NDArray[Any]
) -> tuple[sparse.csr_array, NDArray[Any], NDArray[Any]]:
    """Count the pixels that each pair of labels shares.

    Unlike `skimage.metrics.contingency_table` it takes negative labels, and its size follows the
    number of labels, not the largest one.

    Parameters
    ----------
    first, second : (*space) integer ndarray
        Two label images of one shape.

    Returns
    -------
    (n, m) csr_array of int64, (n,) ndarray, (m,) ndarray
        Pixels shared, and the labels of rows and columns: all that occur, 0 and -1 too, ascending.

    Examples
    --------
    >>> table, rows, columns = overlap_table(np.array([[-1, 5, 5]]), np.array([[0, 0, 3]]))
    >>> table.toarray(), rows, columns
    (array([[1, 0], [1, 1]]), array([-1,  5]), array([0, 3]))
    """
    from scipy import sparse

    if first.shape != second.shape:
        raise ValueError(f"label images of shapes {first.shape} and {second.shape} do not overlap")
    a, b = first.ravel(), second.ravel()
    # Label images are long runs of one value, so there are far fewer entries than pixels.
    starts, lengths = find_runs(a, b)
    rows, i = np.unique(a[starts], return_inverse=True)
    columns, j = np.unique(b[starts], return_inverse=True)
    table = sparse.coo_array((lengths, (i, j)), shape=(len(rows), len(columns))).tocsr()
    return table, rows, columns


def iou(shared: sparse.sparray, first: NDArray[Any], second: NDArray[Any]) -> sparse.csr_array:
    """Return the intersection over union of objects that overlap.

    Parameters
    ----------
    shared : (n, m) sparse array
        Pixels in common.
    first, second : (n,) and (m,) ndarray
        Pixels of each object.

    Returns
    -------
    (n, m) csr_array of float64
        Stored where `shared` is.

    Examples
    --------
    >>> from scipy import sparse
    >>> iou(sparse.csr_array([[2, 0], [1, 3]]), np.array([2, 6]), np.array([3, 3])).toarray()
    array([[0.66666667, 0.        ], [0.125     , 0.5       ]])
    """
    from scipy import sparse

    entries = shared.tocoo()
    union = first[entries.row] + second[entries.col] - entries.data
    return sparse.csr_array((entries.data / union, (entries.row, entries.col)), entries.shape)


def assign_pairs(weights: sparse.sparray, least: float) -> Indices:
    """Pair rows with columns one to one, using only entries of at least `least`.

    There are as many pairs as possible; among such pairings the sum of weights is the largest.

    Parameters
    ----------
    weights : (n, m) sparse array
        Values in (0, 1], such as IoU; entries that are not stored are no candidates.
    least : float
        Above 0.

    Returns
    -------
    (k, 2) int64 ndarray
        Row and column of each pair, by ascending row.

    Examples
    --------
    >>> from scipy import sparse
    >>> assign_pairs(sparse.csr_array([[0.6, 0.5, 0.0], [0.5, 0.0, 0.9], [0.0, 0.0, 0.5]]), 0.5)
    array([[0, 1], [1, 0], [2, 2]])
    """
    entries = weights.tocoo()
    kept = entries.data >= least
    i, j, weight = entries.row[kept], entries.col[kept], entries.data[kept]
    rivals = np.bincount(i, minlength=1)[i] + np.bincount(j, minlength=1)[j] > 2
    # Most candidates have no rival; solving only for the rest makes 40,000 objects fast.
    solved = _solve(i[rivals], j[rivals], weight[rivals])
    pairs = np.concatenate([np.stack([i[~rivals], j[~rivals]], axis=1), solved]).astype(np.int64)
    return pairs[np.argsort(pairs[:, 0])]


def find_runs(*arrays: NDArray[Any]) -> tuple[Indices, Indices]:
    """Return the starts and lengths of the runs in which no array changes.

    Parameters
    ----------
    *arrays : (n,) ndarray
        Arrays of one length.

    Returns
    -------
    (k,) and (k,) int64 ndarray
        Index of the first entry of each run, and its number of entries.

    Examples
    --------
    >>> find_runs(np.array([0, 0, 0, 5, 5]), np.array([2, 2, 1, 1, 1]))
    (array([0, 2, 3]), array([2, 1, 2]))
    """
    if arrays[0].size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    changes = np.zeros(arrays[0].size, bool)
    changes[0] = True
    for array in arrays:
        changes[1:] |= array[1:] != array[:-1]
    starts = np.flatnonzero(changes)
    return starts, np.diff(starts, append=arrays[0].size)


class Overlaps(NamedTuple):
    """Annotated pixels that true and predicted objects share.

    Attributes
    ----------
    shared : (1 + n_true, 1 + n_pred) csr_array of int64
        Pixels shared; background is the first row and column.
    true_ids, pred_ids : (n_true,) and (n_pred,) int64 ndarray
        Labels of the other rows and columns, ascending.
    """

    shared: sparse.csr_array
    true_ids: Indices
    pred_ids: Indices

    @property
    def true_sizes(self) -> Indices:
        """Annotated pixels of each true object."""
        return np.asarray(self.shared.sum(axis=1))[1:]

    @property
    def pred_sizes(self) -> Indices:
        """Annotated pixels of each predicted object."""
        return np.asarray(self.shared.sum(axis=0))[1:]

    @property
    def ious(self) -> sparse.csr_array:
        """IoU of true and predicted objects, (n_true, n_pred) float64."""
        return iou(self.shared[1:, 1:], self.true_sizes, self.pred_sizes)


def count_overlaps(truth: NDArray[Any], predicted: NDArray[Any]) -> Overlaps:
    """Count the annotated pixels that true and predicted objects share.

    Parameters
    ----------
    truth, predicted : (*space) integer ndarray
        Labels, as `embedseg.scoring.score` takes them. Predicted objects mostly outside annotated
        pixels are left out.

    Raises
    ------
    DataError
        For different shapes, or values that are not labels.

    Examples
    --------
    >>> overlaps = count_overlaps(np.array([[1, 1, 0, -1]]), np.array([[0, 5, 5, 7]]))
    >>> overlaps.shared.toarray(), overlaps.true_ids, overlaps.pred_ids
    (array([[0, 1], [1, 1]]), array([1]), array([5]))
    """
    from scipy import sparse

    truth, predicted = check_labels(truth, name="truth"), check_labels(predicted, name="predicted")
    if truth.shape != predicted.shape:
        raise DataError(
            f"predicted labels of shape {predicted.shape}, expected that of the truth, "
            f"{truth.shape}"
        )
    annotated = _annotated_planes(truth)
    table, true_ids, pred_ids = overlap_table(truth[annotated], np.maximum(predicted[annotated], 0))
    outside = table[true_ids < 0].sum(axis=0)
    objects, counted = true_ids > 0, (pred_ids > 0) & (2 * outside <= table.sum(axis=0))
    # Predicted objects that do not count are background where they reach annotated pixels.
    rows, columns = np.cumsum(objects) * objects, np.cumsum(counted) * counted
    entries = table.tocoo()
    on = true_ids[entries.row] >= 0
    places = rows[entries.row[on]], columns[entries.col[on]]
    shared = sparse.csr_array((entries.data[on], places), (1 + objects.sum(), 1 + counted.sum()))
    return Overlaps(shared, true_ids[objects].astype(np.int64), pred_ids[counted].astype(np.int64))


def _annotated_planes(truth: NDArray[Any]) -> Any:
    """Return the index of the planes, along each axis, on which any pixel is annotated."""
    known = truth >= 0
    if known.all():
        return ...
    planes = [
        np.flatnonzero(known.any(axis=tuple(d for d in range(truth.ndim) if d != axis)))
        for axis in range(truth.ndim)
    ]
    return np.ix_(*planes)


def _solve(i: NDArray[Any], j: NDArray[Any], weight: NDArray[Any]) -> Indices:
    """Solve the sparse assignment problem: most pairs, then the largest sum of weights."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    if not len(i):
        return np.zeros((0, 2), np.int64)
    rows, i = np.unique(i, return_inverse=True)
    columns, j = np.unique(j, return_inverse=True)
    # All weights together count less than one pair more.
    costs = 1 - weight / (2 * min(len(rows), len(columns)))
    # The solver pairs every row: a row left alone takes an extra column, dearer than a pair.
    alone = np.arange(len(rows))
    values = np.concatenate([costs, np.full(len(rows), 2.0)])
    places = (np.concatenate([i, alone]), np.concatenate([j, len(columns) + alone]))
    size = (len(rows), len(columns) + len(rows))
    row, column = min_weight_full_bipartite_matching(csr_array((values, places), size))
    pairs = column < len(columns)
    return np.stack([rows[row[pairs]], columns[column[pairs]]], axis=1)

"""Overlaps of two label images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from skimage.metrics import contingency_table

from embedseg.labels import assign_pairs, overlap_table
from embedseg.labels.overlaps import find_runs, iou
from strategies import Labels, pairs_of_labels


@given(pairs_of_labels())
def test_overlap_table_is_that_of_scikit_image(pair: tuple[Labels, Labels]) -> None:
    table, rows, columns = overlap_table(*pair)
    expected = contingency_table(*pair).toarray()[np.ix_(rows, columns)]
    assert np.array_equal(table.toarray(), expected)
    assert table.sum() == pair[0].size


def test_overlap_table_wants_one_shape() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        overlap_table(np.zeros((2, 3)), np.zeros((3, 2)))


@given(st.lists(st.integers(0, 2)))
def test_runs_rebuild_the_array(values: list[int]) -> None:
    array = np.array(values, int)
    starts, lengths = find_runs(array)
    assert np.array_equal(np.repeat(array[starts], lengths), array)
    assert (array[starts][1:] != array[starts][:-1]).all()


def test_iou_by_eye() -> None:
    assert iou(sparse.csr_array([[1, 1]]), np.array([3]), np.array([1, 2])).toarray().tolist() == [
        [1 / 3, 1 / 4]
    ]


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.3, 0.5]))
def test_assignment_is_the_dense_optimum(seed: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.random(rng.integers(1, 7, 2)).round(1) * (rng.random() > rng.random((1, 1)))
    dense *= rng.random(dense.shape) < 0.6
    pairs = assign_pairs(sparse.csr_array(dense), least)
    gain = np.where(dense >= least, 1 + dense / (2 * min(dense.shape)), 0)
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best)
    assert (dense[pairs[:, 0], pairs[:, 1]] >= least).all()
    assert all(len(set(side)) == len(pairs) for side in pairs.T)


def test_more_pairs_beat_better_pairs() -> None:
    chain = sparse.csr_array([[0.3, 0.0, 0.0], [0.9, 0.3, 0.0], [0.0, 0.9, 0.3]])
    assert assign_pairs(chain, 0.25).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert assign_pairs(chain, 0.5).tolist() == [[1, 0], [2, 1]]

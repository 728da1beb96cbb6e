"""Pixel coordinates and padding."""

from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from embedseg.geometry import pad_to_multiple
from embedseg.geometry.grid import coordinates
from strategies import shapes


def test_coordinates_are_index_times_spacing() -> None:
    found = coordinates((2, 3, 4), (2.0, 0.5, 0.25))
    assert found.dtype == np.float32 and found.shape == (3, 2, 3, 4)
    assert found[:, 1, 2, 3].tolist() == [2.0, 1.0, 0.75]


@given(shape=shapes(max_side=6), data=st.data())
def test_padding_comes_off_again(shape: tuple[int, ...], data: st.DataObject) -> None:
    divisor = tuple(data.draw(st.integers(1, 9)) for _ in shape)
    mode = data.draw(st.sampled_from(["reflect", "constant"]))
    array = np.arange(2 * np.prod(shape), dtype=np.int32).reshape(2, *shape)
    padded, cut = pad_to_multiple(array, divisor, mode, value=-1)
    assert all(n % d == 0 for n, d in zip(padded.shape[1:], divisor, strict=True))
    assert all(0 <= n - m < d for n, m, d in zip(padded.shape[1:], shape, divisor, strict=True))
    assert np.array_equal(padded[(slice(None), *cut)], array)
    if mode == "reflect":
        assert set(np.unique(padded)) == set(np.unique(array))
    else:
        assert (padded == -1).sum() == padded.size - array.size


def test_padding_reflects_as_often_as_needed() -> None:
    padded, _ = pad_to_multiple(np.array([[1, 2, 3], [4, 5, 6]]), (1, 8))
    assert padded[0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    alone, _ = pad_to_multiple(np.array([[7]]), (1, 4))
    assert alone.tolist() == [[7, 7, 7, 7]]


def test_nothing_to_pad_copies_nothing() -> None:
    array = np.zeros((1, 8, 8))
    assert pad_to_multiple(array, (8, 4))[0] is array

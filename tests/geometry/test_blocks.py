"""Blocks cover an array once, read what they need, and keep to the grid."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np
from hypothesis import given, strategies as st

from embedseg.geometry import Block, largest_inner_shape, split_blocks
from strategies import shapes


def test_eyeball() -> None:
    blocks = split_blocks((4, 10), (4, 4), (1, 1), (2, 2))
    assert [b.inner[1] for b in blocks] == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert [b.outer[1] for b in blocks] == [slice(0, 6), slice(2, 10), slice(6, 10)]
    assert all(b.outer[0] == slice(0, 4) for b in blocks)
    assert blocks[1] == Block((slice(0, 4), slice(4, 8)), (slice(0, 4), slice(2, 10)))
    assert blocks[1].local == (slice(0, 4), slice(2, 6))
    assert (blocks[1].inner_shape, blocks[1].outer_shape) == ((4, 4), (4, 8))


@given(shape=shapes(max_side=17), data=st.data())
def test_blocks_cover_once_and_reach_far_enough(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    size, halo, multiple = (
        tuple(data.draw(st.integers(low, high)) for _ in shape)
        for low, high in ((1, 20), (0, 9), (1, 4))
    )
    blocks = split_blocks(shape, size, halo, multiple)
    covered = np.zeros(shape, int)
    for block in blocks:
        covered[block.inner] += 1
        outer = np.zeros(shape, int)
        outer[block.outer] = np.arange(prod(block.outer_shape)).reshape(block.outer_shape)
        assert np.array_equal(outer[block.inner], outer[block.outer][block.local])
        for i, o, h, m, n in zip(block.inner, block.outer, halo, multiple, shape, strict=True):
            assert i.start % m == o.start % m == 0
            assert o.start <= max(0, i.start - h) and o.stop >= min(n, i.stop + h)
            assert o.stop == n or o.stop % m == 0
    assert (covered == 1).all()
    assert blocks == sorted(blocks, key=lambda b: [s.start for s in b.inner])


@given(shape=shapes(max_side=17), data=st.data())
def test_blocks_cut_again_cover_what_they_covered(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    multiple = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    halo = (2,) * len(shape)
    large = data.draw(st.sampled_from(split_blocks(shape, (7,) * len(shape), halo, multiple)))
    covered = np.zeros(shape, int)
    for block in split_blocks(shape, (3,) * len(shape), halo, multiple, large.inner):
        covered[block.inner] += 1
    assert covered[large.inner].all() and covered.sum() == prod(large.inner_shape)


@given(shape=shapes(max_side=40), data=st.data())
def test_blocks_that_fit_do(shape: tuple[int, ...], data: st.DataObject) -> None:
    halo, multiple = (
        tuple(data.draw(st.integers(low, high)) for _ in shape) for low, high in ((0, 9), (1, 4))
    )
    pixels = data.draw(st.integers(1, 2 * prod(shape)))
    size = largest_inner_shape(shape, halo, multiple, pixels)
    if prod(shape) <= pixels:
        assert size == shape
    if any(s > m for s, m in zip(size, multiple, strict=True)):
        assert all(prod(b.outer_shape) <= pixels for b in split_blocks(shape, size, halo, multiple))


@given(shape=shapes(max_side=12), data=st.data())
def test_no_other_size_that_fits_reads_less(shape: tuple[int, ...], data: st.DataObject) -> None:
    halo, multiple = (
        tuple(data.draw(st.integers(low, high)) for _ in shape) for low, high in ((0, 3), (1, 3))
    )
    shape = tuple(n * m for n, m in zip(shape, multiple, strict=True))
    pixels = data.draw(st.integers(1, 2 * prod(shape)))

    def outer_boxes(size: tuple[int, ...]) -> list[int]:
        return [prod(block.outer_shape) for block in split_blocks(shape, size, halo, multiple)]

    def at_most(size: tuple[int, ...]) -> int:
        axes = zip(shape, size, halo, multiple, strict=True)
        return prod(n if s == n else min(n, s + 2 * (-(-h // m) * m)) for n, s, h, m in axes)

    steps = (range(m, n + 1, m) for n, m in zip(shape, multiple, strict=True))
    fitting = [size for size in product(*steps) if at_most(size) <= pixels]
    chosen = largest_inner_shape(shape, halo, multiple, pixels)
    # At the end of an axis the halo of the box before it may be cropped, which is not counted.
    if fitting:
        assert sum(outer_boxes(chosen)) <= 1.15 * min(sum(outer_boxes(size)) for size in fitting)
    else:
        assert chosen == multiple


def test_the_axis_with_the_larger_share_of_halo_is_cut_last() -> None:
    assert largest_inner_shape((256, 256), (64, 8), (8, 8), 256 * 140) == (256, 88)

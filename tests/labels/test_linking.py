"""Objects linked from plane to plane."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from embedseg.labels import link_slices, overlap_table, relabel
from strategies import Labels, boxes


def test_planes_link_by_best_overlap() -> None:
    planes = np.array(
        [
            [[1, 1, 1, 0, 2, 2]],
            [[2, 2, 1, 1, 1, 0]],
            [[0, 0, 1, 1, 1, -1]],
            [[0, 0, 0, 0, 0, 0]],
            [[5, 5, 0, 0, 0, 0]],
        ]
    )
    # In plane 1 object 2 (IoU 2/3) follows 1; its object 1 overlaps both 1 (1/5) and 2 (1/4).
    assert link_slices(planes, 0.25)[:, 0].tolist() == [
        [1, 1, 1, 0, 2, 2],
        [1, 1, 2, 2, 2, 0],
        [0, 0, 2, 2, 2, -1],
        [0, 0, 0, 0, 0, 0],
        [3, 3, 0, 0, 0, 0],
    ]
    assert link_slices(planes, 0.3)[:, 0].tolist()[1:3] == [
        [1, 1, 3, 3, 3, 0],
        [0, 0, 3, 3, 3, -1],
    ]


@given(boxes(shape=(6, 7)))
def test_equal_planes_link_whatever_their_numbers(plane: Labels) -> None:
    rng = np.random.default_rng(0)
    numbers = [np.concatenate([[0], rng.permutation(9) + 1]) for _ in range(3)]
    linked = link_slices(np.stack([number[plane] for number in numbers]))
    assert (linked == linked[0]).all()
    assert np.array_equal(linked[0], relabel(numbers[0][plane]))


@given(boxes(shape=(4, 6, 7)))
def test_links_keep_objects_of_planes_apart(volume: Labels) -> None:
    linked = link_slices(volume)
    assert np.array_equal(relabel(linked), linked)
    for plane, new in zip(volume, linked, strict=True):
        assert np.array_equal(np.minimum(plane, 1), np.minimum(new, 1))
        assert overlap_table(plane, new)[0].nnz == len(np.unique(plane)) == len(np.unique(new))

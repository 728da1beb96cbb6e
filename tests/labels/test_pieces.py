"""Connected components and holes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from scipy import ndimage

from embedseg.labels import fill_holes, object_ids, split_pieces
from embedseg.labels.pieces import count_pieces
from strategies import Labels, labels


def test_holes_by_eye() -> None:
    image = np.array(
        [
            [5, 5, 5, 5, 5, 5, 0],
            [5, 0, 0, 5, 0, 5, 0],
            [5, 0, 3, 5, 5, 5, 0],
            [5, 5, 5, 5, 0, 5, 5],
            [0, 5, 0, 5, 5, -1, 0],
        ],
        np.int32,
    )
    filled = fill_holes(image)
    assert filled.tolist() == [
        [5, 5, 5, 5, 5, 5, 0],
        [5, 0, 0, 5, 5, 5, 0],  # the left hole holds object 3
        [5, 0, 3, 5, 5, 5, 0],
        [5, 5, 5, 5, 5, 5, 5],  # closed by corners
        [0, 5, 0, 5, 5, -1, 0],
    ]  # at the border
    assert image[1, 4] == 0


def test_background_next_to_unannotated_pixels_is_no_hole() -> None:
    image = np.array([[1, 1, 1], [1, 0, -1], [1, 1, 1]], np.int32)
    assert np.array_equal(fill_holes(image), image)


@given(labels(max_label=1))
def test_holes_of_one_object_are_those_of_scipy(image: Labels) -> None:
    expected = ndimage.binary_fill_holes(image.squeeze()).reshape(image.shape)
    if max(image.shape) > 1:
        assert np.array_equal(fill_holes(image), expected)


@given(labels(unannotated=True))
def test_pieces_are_connected_components(image: Labels) -> None:
    full = np.ones((3,) * image.ndim)
    counts = [ndimage.label(image == k, full)[1] for k in object_ids(image)]
    assert count_pieces(image).tolist() == counts
    split = split_pieces(image)
    assert split.max(initial=0) == sum(counts)
    assert np.array_equal(np.minimum(split, 1), np.minimum(image, 1))
    assert (count_pieces(split) == 1).all()

"""Partial annotation."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from embedseg.labels import complete_axes
from strategies import labels


def test_complete_axes_end_where_nothing_is_annotated():
    image = np.zeros((4, 6, 6), np.int32)
    image[1:3, 1:3, 1:3], image[1, 4, 4], image[3, 0, 5] = 3, 5, 8
    assert complete_axes(image).all()
    image[0] = -1
    assert complete_axes(image).tolist() == [[False, True, True], [False, True, True], [True] * 3]
    image[:, :, :1] = -1
    assert complete_axes(image).tolist() == [[False, True, False], [False, True, True], [True] * 3]
    image[3, 0, 4] = -2  # beyond the edge of the image, not of what is annotated
    assert complete_axes(image)[2].all()


@given(labels(unannotated=True))
def test_an_axis_is_known_if_no_pixel_beside_is_unannotated(image):
    ids = np.unique(image[image > 0])
    for row, number in zip(complete_axes(image), ids, strict=True):
        for axis, known in enumerate(row):
            line = np.eye(image.ndim, dtype=int)[axis]
            touched = any(
                (0 <= at + sign * line).all()
                and (at + sign * line < image.shape).all()
                and image[tuple(at + sign * line)] == -1
                for at in np.argwhere(image == number)
                for sign in (-1, 1)
            )
            assert known == (not touched)

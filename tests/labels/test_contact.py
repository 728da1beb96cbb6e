"""Forms of objects."""

from __future__ import annotations

import numpy as np
import pytest

from embedseg.images import blobs
from embedseg.labels import contact_share, object_elongations, object_widths


def test_objects_that_fill_the_image_touch_everywhere() -> None:
    labels = np.arange(1, 10).reshape(3, 3).repeat(8, axis=0).repeat(8, axis=1)
    assert contact_share(labels) == 1
    # A line of background between them, as many masks have it, changes nothing; behind the last row
    # and column it is background, at 6 sides of 30.
    labels[7::8] = labels[:, 7::8] = 0
    assert contact_share(labels) == pytest.approx(0.8)


def test_what_is_not_annotated_is_no_outline() -> None:
    assert contact_share(np.array([[1, 1, -1, 2, 2, 0]])) == 0
    assert contact_share(np.array([[1, 1, -1, 2, 3, 3]])) == 1
    assert contact_share(np.zeros((4, 4), int)) == 0


@pytest.mark.parametrize("ndim", [2, 3])
def test_balls_are_about_as_long_as_wide(ndim: int) -> None:
    labels = blobs((48,) * ndim, 5, seed=0)[1]
    found = object_elongations(labels, (1.0,) * ndim)
    assert len(found) == 5 and found.min() >= 1 and np.median(found) < 2


def test_width_counts_the_size_of_pixels() -> None:
    labels = np.zeros((1, 9, 20), int)
    labels[:, 1:8, 2:18] = 1
    assert object_widths(labels, (7.0, 1.0, 1.0)) == pytest.approx([7.0])
    assert object_elongations(labels, (7.0, 1.0, 1.0)) == pytest.approx([16 / 7])

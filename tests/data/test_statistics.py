"""Statistics of a data set."""

from __future__ import annotations

import numpy as np
import pytest

from data_folders import sample
from embedseg.data import compute_statistics


def test_statistics_by_eye():
    stats = compute_statistics(
        [
            sample([[1, 1, 1, 0], [0, 0, 0, -1]], (1.0, 1.0)),
            sample([[1, 0, 2, 2], [0, 0, 2, 2]], (1.0, 1.0)),
            sample([[0, 0], [1, 1]], (2.0, 1.0)),
        ]
    )
    assert (stats.ndim, stats.channels, stats.spacing, stats.spacing_known) == (
        2,
        1,
        (1.0, 1.0),
        True,
    )
    # The last object is one pixel of 2 µm high: two pixels of the median spacing.
    assert stats.extents.tolist() == [[1, 3], [1, 1], [2, 2], [2, 2]]
    assert stats.volumes.tolist() == [3, 1, 4, 4]
    assert stats.counts == (1, 2, 1) and stats.shapes == ((2, 4), (2, 4), (2, 2))
    assert stats.foreground_fraction == pytest.approx(10 / 19)


def test_statistics_of_objects_annotated_in_part():
    labels = np.full((9, 6, 6), -1)
    labels[2] = labels[6] = 0
    labels[2, 1:4, 1:3] = labels[6, 1:4, 1:3] = 1
    labels[6, 5, 5] = 2
    labels[8, 5, 5] = 3  # goes on along every axis for all that is known
    stats = compute_statistics([sample(labels, (2.0, 1.0, 1.0))])
    # Object 1 spans 5 planes at least, of which 2 show 6 pixels each; object 2 is taken to be
    # as high as it is wide, half a plane or one.
    assert stats.extents.tolist() == [[5, 3, 2], [1, 1, 1]]
    assert stats.volumes.tolist() == [30, 1]
    assert stats.counts == (3,)
    wide = np.full((5, 9, 9), -1)
    wide[2] = 0
    wide[2, 1:7, 1:7] = 4
    stats = compute_statistics([sample(wide, (2.0, 1.0, 1.0))])
    assert stats.extents.tolist() == [[3, 6, 6]] and stats.volumes.tolist() == [3 * 36]


def test_statistics_without_objects_or_spacing():
    stats = compute_statistics([sample(np.zeros((2, 3, 4)))])
    assert stats.extents.shape == (0, 3) and stats.volumes.shape == (0,)
    assert stats.spacing == (1.0, 1.0, 1.0) and not stats.spacing_known
    assert stats.foreground_fraction == 0

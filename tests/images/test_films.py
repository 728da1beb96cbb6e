"""Films of cells: what the tests of tracks stand on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from embedseg.images import cell_film

SPACES = [((96, 96), (1.0, 1.0)), ((24, 56, 56), (2.0, 1.0, 1.0))]


@pytest.mark.parametrize(("shape", "spacing"), SPACES)
def test_cells_have_one_number_move_touch_divide_enter_and_leave(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    image, labels, parents = cell_film(shape, 20, 24, 2, spacing=spacing, radius=6.0)
    assert (image.shape, image.dtype) == ((20, *shape), np.float32)
    assert (labels.shape, labels.dtype) == ((20, *shape), np.int32)
    spans = {}
    for number in range(1, labels.max() + 1):
        (frames,) = np.nonzero((labels == number).any(axis=tuple(range(1, labels.ndim))))
        # All frames from the first to the last one, in one piece.
        assert frames.tolist() == list(range(frames[0], frames[-1] + 1))
        assert ndimage.label(labels[frames[0]] == number)[1] == 1
        spans[number] = (frames[0], frames[-1])
    for child, parent in parents.items():
        assert spans[parent][1] + 1 == spans[child][0]
    values = list(parents.values())
    assert any(values.count(parent) == 2 for parent in values)
    assert any(first > 0 and number not in parents for number, (first, _) in spans.items())
    assert any(last < 19 and number not in values for number, (_, last) in spans.items())
    touching = (labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)
    assert touching.any(axis=tuple(range(1, labels.ndim))).mean() > 0.5
    assert image[labels > 0].mean() > image[labels == 0].mean() + 0.2


def test_cells_are_as_fast_as_asked() -> None:
    paths = []
    for speed in (0.1, 0.3):
        _, labels, _ = cell_film((160, 160), 2, 6, 1, speed=speed, cycle=1000)
        both = np.intersect1d(labels[0], labels[1])[1:]
        places = [np.array(ndimage.center_of_mass(frame > 0, frame, both)) for frame in labels]
        paths.append(np.linalg.norm(places[1] - places[0], axis=1).mean())
    assert paths[1] > 1.5 * paths[0]


def test_the_seed_decides() -> None:
    films = [cell_film((48, 48), 5, 8, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(films[0][0], films[1][0])
    assert films[0][2] == films[1][2]
    assert (films[0][0] != films[2][0]).any()

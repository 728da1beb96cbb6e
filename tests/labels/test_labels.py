"""Label images: numbering, centres, pieces, links."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.draw import disk
from skimage.metrics import contingency_table

from embedseg.labels import (
    assign,
    centroids,
    drop_small,
    fill_holes,
    iou,
    known_axes,
    link_slices,
    medoids,
    nearest_medians,
    object_ids,
    object_sizes,
    overlap_table,
    relabel,
    split_pieces,
)
from embedseg.labels.centres import TIE
from embedseg.labels.overlaps import find_runs
from embedseg.labels.pieces import count_pieces
from strategies import Labels, boxes, labels, pairs_of_labels, spacings

EYE = np.array(
    [
        [7, 7, 0, 3],
        [7, 0, 0, 3],
        [-1, 0, 0, 3],
        [0, 7, 7, 3],
    ],
    np.int32,
)


def with_spacing(image: Labels) -> st.SearchStrategy[tuple[Labels, tuple[float, ...]]]:
    return st.tuples(st.just(image), spacings(image.ndim))


# -- numbering -------------------------------------------------------------------------------------
def test_numbering_by_eye() -> None:
    assert object_ids(EYE).tolist() == [3, 7]
    assert object_sizes(EYE).tolist() == [4, 5]
    assert count_pieces(EYE).tolist() == [1, 2]
    assert relabel(EYE).tolist() == [[2, 2, 0, 1], [2, 0, 0, 1], [-1, 0, 0, 1], [0, 2, 2, 1]]
    assert split_pieces(EYE).tolist() == [[1, 1, 0, 2], [1, 0, 0, 2], [-1, 0, 0, 2], [0, 3, 3, 2]]
    assert drop_small(EYE, 5).tolist() == [[7, 7, 0, 0], [7, 0, 0, 0], [-1, 0, 0, 0], [0, 7, 7, 0]]


@given(labels(unannotated=True))
def test_relabel_keeps_partition_and_order(image: Labels) -> None:
    new = relabel(image)
    assert new.dtype == np.int32
    assert np.array_equal(new[image <= 0], image[image <= 0])
    ids = np.unique(image[image > 0])
    assert np.array_equal(np.unique(new[new > 0]), np.arange(1, len(ids) + 1))
    assert all(np.array_equal(new == k + 1, image == old) for k, old in enumerate(ids))
    assert np.array_equal(relabel(new), new)


@given(labels(unannotated=True))
def test_sizes_count_pixels(image: Labels) -> None:
    assert object_sizes(image).tolist() == [(image == k).sum() for k in object_ids(image)]
    assert object_sizes(image).dtype == np.int64


@given(labels(unannotated=True), st.integers(0, 9))
def test_drop_small_drops_the_small(image: Labels, least: int) -> None:
    kept = drop_small(image, least)
    expected = image.copy()
    for k in np.unique(image[image > 0]):
        if (image == k).sum() < least:
            expected[image == k] = 0
    assert np.array_equal(kept, expected)
    assert kept is not image


def test_large_numbers_and_narrow_types() -> None:
    image = np.array([[0, 2**31 - 1], [5, 5]], np.uint32)
    assert relabel(image).tolist() == [[0, 2], [1, 1]]
    table, rows, _ = overlap_table(image, image)
    assert table.shape == (3, 3) and rows.tolist() == [0, 5, 2**31 - 1]


@pytest.mark.parametrize("shape", [(0, 3), (4, 5), (1, 1, 1)])
def test_nothing_there(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.int32)
    spacing = (1.0,) * len(shape)
    assert relabel(empty).shape == fill_holes(empty).shape == shape
    assert len(object_ids(empty)) == len(object_sizes(empty)) == 0
    for centres in (centroids, medoids, nearest_medians):
        assert centres(empty, spacing).shape == (0, len(shape))


# -- centres ---------------------------------------------------------------------------------------
def slow_medoids(image: Labels, spacing: tuple[float, ...]) -> NDArray[np.int64]:
    found = []
    for k in object_ids(image):
        pixels = np.argwhere(image == k)
        sums = cdist(pixels * spacing, pixels * spacing).sum(axis=0)
        found.append(pixels[np.argmax(sums <= sums.min() * (1 + TIE))])
    return np.array(found).reshape(-1, image.ndim)


def test_medoid_lies_in_a_hook_whose_centroid_does_not() -> None:
    hook = np.array(
        [
            [1, 1, 1, 1],
            [1, 0, 0, 0],
            [1, 0, 0, 0],
            [1, 0, 0, 0],
        ]
    )
    assert centroids(hook, (1.0, 1.0)).tolist() == [[6 / 7, 6 / 7]]
    assert medoids(hook, (1.0, 1.0)).tolist() == [[0, 1]]  # and [1, 0], which comes later
    assert nearest_medians(hook, (1.0, 1.0)).tolist() == [[0, 0]]


def test_spacing_moves_the_medoid() -> None:
    cross = np.zeros((5, 9), int)
    cross[:, 2] = cross[1] = 1
    assert medoids(cross, (1.0, 1.0)).tolist() == [[1, 3]]
    assert medoids(cross, (9.0, 1.0)).tolist() == [[1, 4]]


def test_of_equal_medoids_the_first_in_raster_order_wins() -> None:
    assert medoids(np.ones((2, 2), int), (0.1, 0.1)).tolist() == [[0, 0]]
    # Rounding makes the sums of later pixels a little smaller here.
    assert medoids(np.ones((6, 6), int), (0.1, 0.1)).tolist() == [[2, 2]]
    assert medoids(np.ones((2, 4, 4), int), (0.1, 0.1, 0.1)).tolist() == [[0, 1, 1]]
    assert nearest_medians(np.ones((4, 4), int), (0.3, 0.3)).tolist() == [[1, 1]]


@given(labels(max_label=3, unannotated=True).flatmap(with_spacing))
def test_medoids_are_those_of_all_distances(case: tuple[Labels, tuple[float, ...]]) -> None:
    assert np.array_equal(medoids(*case), slow_medoids(*case))


def test_medoids_of_large_objects() -> None:
    ring = np.zeros((130, 130), np.int32)
    ring[disk((64, 64), 60)] = 4
    ring[disk((64, 70), 45)] = 0
    noise = (np.random.default_rng(0).random((60, 80)) < 0.4).astype(np.int32)
    for image in (ring, noise):
        assert np.array_equal(medoids(image, (1.0, 0.7)), slow_medoids(image, (1.0, 0.7)))


@given(boxes().flatmap(with_spacing))
def test_centroids_are_means(case: tuple[Labels, tuple[float, ...]]) -> None:
    image, spacing = case
    expected = [(np.argwhere(image == k) * spacing).mean(axis=0) for k in object_ids(image)]
    assert np.allclose(centroids(image, spacing), np.reshape(expected, (-1, image.ndim)))


@given(labels(max_label=3, unannotated=True).flatmap(with_spacing))
def test_nearest_medians_are_object_pixels_near_the_median(
    case: tuple[Labels, tuple[float, ...]],
) -> None:
    image, spacing = case
    chosen = nearest_medians(image, spacing)
    for k, pixel in zip(object_ids(image), chosen, strict=True):
        pixels = np.argwhere(image == k)
        apart = cdist([np.median(pixels, axis=0) * spacing], pixels * spacing)
        assert image[tuple(pixel)] == k
        own = (pixels == pixel).all(axis=1)
        assert apart[0, own] == pytest.approx(apart.min())


# -- holes and pieces ------------------------------------------------------------------------------
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


# -- overlaps --------------------------------------------------------------------------------------
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
    pairs = assign(sparse.csr_array(dense), least)
    gain = np.where(dense >= least, 1 + dense / (2 * min(dense.shape)), 0)
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert gain[pairs[:, 0], pairs[:, 1]].sum() == pytest.approx(best)
    assert (dense[pairs[:, 0], pairs[:, 1]] >= least).all()
    assert all(len(set(side)) == len(pairs) for side in pairs.T)


def test_more_pairs_beat_better_pairs() -> None:
    chain = sparse.csr_array([[0.3, 0.0, 0.0], [0.9, 0.3, 0.0], [0.0, 0.9, 0.3]])
    assert assign(chain, 0.25).tolist() == [[0, 0], [1, 1], [2, 2]]
    assert assign(chain, 0.5).tolist() == [[1, 0], [2, 1]]


# -- planes ----------------------------------------------------------------------------------------
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


def test_known_axes_end_where_nothing_is_annotated():
    image = np.zeros((4, 6, 6), np.int32)
    image[1:3, 1:3, 1:3], image[1, 4, 4], image[3, 0, 5] = 3, 5, 8
    assert known_axes(image).all()
    image[0] = -1
    assert known_axes(image).tolist() == [[False, True, True], [False, True, True], [True] * 3]
    image[:, :, :1] = -1
    assert known_axes(image).tolist() == [[False, True, False], [False, True, True], [True] * 3]
    image[3, 0, 4] = -2  # beyond the edge of the image, not of what is annotated
    assert known_axes(image)[2].all()


@given(labels(unannotated=True))
def test_an_axis_is_known_if_no_pixel_beside_is_unannotated(image):
    ids = np.unique(image[image > 0])
    for row, number in zip(known_axes(image), ids, strict=True):
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

"""Scores of classes, and of regions between membranes."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import adapted_rand_error, variation_of_information

from embedseg.scoring import DenseScores
from embedseg.scoring.class_tables import class_table, flat_class_scores
from embedseg.scoring.classes import score_classes, summarise_classes
from embedseg.scoring.regions import score_regions
from embedseg.types import DataError
from strategies import Labels, labels, shapes

V = ("v_rand", "v_rand_split", "v_rand_merge", "v_info", "v_info_split", "v_info_merge")

NAMES = ["cell", "membrane", "vesicle"]

# Class 1 gains a pixel of 0 and loses one to 2; one pixel is not annotated.
TRUTH = np.array(
    [
        [0, 0, 0, 1],
        [2, 2, 1, 1],
        [2, -1, 1, 1],
    ]
)

PREDICTED = np.array(
    [
        [0, 0, 1, 1],
        [2, 2, 1, 1],
        [2, 0, 1, 2],
    ]
)


@st.composite
def pairs(draw: st.DrawFn, unannotated: bool = True) -> tuple[Labels, Labels]:
    """True and predicted classes 0 to 2."""
    shape = draw(shapes())
    return (
        draw(labels(shape, max_label=2, unannotated=unannotated)),
        draw(labels(shape, max_label=2)),
    )


def cells(rows: int = 2, columns: int = 3, side: int = 9) -> NDArray[np.int64]:
    """Cells of class 0, side - 1 pixels wide, with membranes of class 1 and one pixel between."""
    image = np.zeros((rows * side - 1, columns * side - 1), np.int64)
    image[side - 1 :: side] = image[:, side - 1 :: side] = 1
    return image


def regions(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    found = score_classes(truth, predicted, 3, membrane=1).regions
    assert found is not None
    return dict(found)


def test_classes_by_eye() -> None:
    found = score_classes(TRUTH, PREDICTED, 4)
    assert found.confusion.tolist() == [[2, 1, 0, 0], [0, 4, 1, 0], [0, 0, 3, 0], [0, 0, 0, 0]]
    assert found.confusion.dtype == np.int64 and found.regions is None
    np.testing.assert_allclose(found.iou, [2 / 3, 4 / 6, 3 / 4, np.nan])
    np.testing.assert_allclose(found.dice, [4 / 5, 8 / 10, 6 / 7, np.nan])
    assert found.iou_mean == pytest.approx((2 / 3 + 2 / 3 + 3 / 4) / 3)
    assert found.dice_mean == pytest.approx((4 / 5 + 4 / 5 + 6 / 7) / 3)
    assert (found.accuracy, found.n_pixels) == (9 / 11, 11)


def test_a_class_only_predicted_or_only_true_has_iou_0() -> None:
    found = score_classes(np.array([[0, 0]]), np.array([[0, 1]]), 3)
    np.testing.assert_array_equal(found.iou, [1 / 2, 0, np.nan])
    found = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), 3)
    np.testing.assert_array_equal(found.dice, [2 / 3, 0, np.nan])


def test_merged_regions_by_eye() -> None:
    # True regions of 2 and 1 pixels are one predicted region of 3; the membrane does not count.
    found = regions(np.array([[0, 0, 1, 0]]), np.array([[0, 0, 0, 0]]))
    assert found["v_rand_split"] == 1 and found["v_info_split"] == 1
    assert found["v_rand_merge"] == pytest.approx((2**2 + 1**2) / 3**2)
    assert found["v_rand"] == pytest.approx(5 / ((5 + 9) / 2))
    # One region says nothing about the true ones.
    assert found["v_info_merge"] == found["v_info"] == 0
    # Pairs of two different pixels: 1 in truth, 3 in the prediction, 1 in both.
    assert found["adapted_rand_error"] == pytest.approx(1 - 1 / ((1 + 3) / 2))


def test_split_regions_by_eye() -> None:
    # The membrane of one pixel goes to one side: 2 and 2 pixels, or 3 and 1.
    found = regions(np.array([[0, 0, 0, 0]]), np.array([[0, 1, 1, 0]]))
    assert found["v_rand_merge"] == found["v_info_merge"] == 1
    assert found["v_rand_split"] == (2**2 + 2**2) / 4**2
    assert found["v_rand"] == pytest.approx(8 / ((16 + 8) / 2))
    assert found["v_info_split"] == found["v_info"] == 0
    # Without thinning both membrane pixels are one region: 1 pair of 6 is left.
    assert found["adapted_rand_error"] == pytest.approx(1 - 1 / ((6 + 1) / 2))


def test_information_by_eye() -> None:
    # Four equal true regions, 2 bits, against two, 1 bit; and the other way round.
    four, two = np.array([1, 2, 3, 4]), np.array([7, 7, 5, 5])
    merged, split = score_regions(four, two), score_regions(two, four)
    assert (merged["v_info_split"], merged["v_info_merge"]) == (1, 1 / 2)
    assert (split["v_info_split"], split["v_info_merge"]) == (1 / 2, 1)
    assert merged["v_info"] == split["v_info"] == pytest.approx(1 / ((2 + 1) / 2))


def test_regions_hang_together_by_faces() -> None:
    corner = np.array([[0, 1], [1, 0]])
    assert regions(corner, 0 * corner)["v_rand_merge"] == 1 / 2
    volume = np.stack([corner, corner])  # in 3D each is a column of two pixels
    assert regions(volume, 0 * volume)["v_rand_merge"] == 1 / 2
    assert regions(volume, volume)["v_rand"] == 1


def test_a_gap_in_the_membrane_lowers_the_merge_scores_only() -> None:
    truth = cells()
    gap = truth.copy()
    gap[3, 8] = 0
    found = regions(truth, gap)
    assert found["v_rand_split"] == found["v_info_split"] == 1
    # Two of six equal cells are one: 1 / 6 against (4 + 4 * 1) / 36 of all pairs.
    assert found["v_rand_merge"] == pytest.approx(6 / 8)
    assert found["v_info_merge"] == pytest.approx(1 - (2 / 6) / math.log2(6))
    assert found["adapted_rand_error"] > 0.1


def test_a_membrane_too_many_lowers_the_split_scores_only() -> None:
    truth = cells()
    more = truth.copy()
    more[:8, 3] = 1
    found = regions(truth, more)
    assert found["v_rand_merge"] == found["v_info_merge"] == 1
    assert found["v_rand_split"] < 1 and found["v_info_split"] < 1
    more[3, 3] = 0  # a line with a gap parts nothing
    assert {regions(truth, more)[key] for key in V} == {1}


@given(
    st.lists(st.integers(6, 12), min_size=1, max_size=3),
    st.lists(st.integers(6, 12), min_size=1, max_size=3),
    st.integers(0, 2),
    st.booleans(),
)
def test_a_thicker_membrane_scores_1_where_topology_is_right(
    heights: list[int], widths: list[int], by: int, volume: bool
) -> None:
    truth = np.zeros((sum(heights) + 6, sum(widths) + 6), np.int64)
    truth[np.cumsum(heights)] = 1
    truth[:, np.cumsum(widths)] = 1
    if volume:
        truth = np.stack([truth] * 2)
    thick = ndimage.maximum_filter(truth, 2 * by + 1)
    found = regions(truth, thick)
    assert {found[key] for key in V} == {1}
    assert (found["adapted_rand_error"] > 0) == (by > 0)


def test_membrane_everywhere_is_one_region() -> None:
    truth = cells()
    assert regions(truth, np.ones_like(truth)) == regions(truth, np.zeros_like(truth))


@pytest.mark.parametrize(
    "truth",
    [
        np.full((3, 4), -1),
        np.ones((3, 4), int),
        np.zeros((0, 4), int),
        np.zeros((1, 1), int),
    ],
    ids=["not annotated", "membrane", "no pixels", "one pixel"],
)
@pytest.mark.parametrize("predicted", [0, 1])
def test_where_nothing_can_be_wrong_regions_score_1(
    truth: NDArray[np.int64], predicted: int
) -> None:
    found = regions(truth, np.full_like(truth, predicted))
    assert {found[key] for key in V} == {1} and found["adapted_rand_error"] == 0


@given(pairs())
def test_classes_are_those_of_naive_loops(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    found = score_classes(truth, predicted, 3)
    known = truth >= 0
    assert found.n_pixels == known.sum() == found.confusion.sum()
    if found.n_pixels:
        assert found.accuracy == np.trace(found.confusion) / found.confusion.sum()
        assert found.accuracy == pytest.approx((truth == predicted)[known].mean())
    for k in range(3):
        true, pred = known & (truth == k), known & (predicted == k)
        whole = (true | pred).sum()
        iou = (true & pred).sum() / whole if whole else np.nan
        np.testing.assert_equal(found.iou[k], iou)
        np.testing.assert_allclose(found.dice[k], 2 * iou / (1 + iou))


@given(hnp.arrays(np.int32, st.integers(1, 40), elements=st.integers(0, 4)), st.data())
def test_regions_are_scored_by_definition(truth: Labels, data: st.DataObject) -> None:
    predicted = data.draw(hnp.arrays(np.int32, truth.shape, elements=st.integers(0, 4)))
    found = score_regions(truth, predicted)
    t, s = truth[truth > 0], predicted[truth > 0]
    if not len(t):
        assert set(found.values()) == {1}
        return
    same_t, same_s = t[:, None] == t, s[:, None] == s  # pairs of pixels, one with itself too
    both = (same_t & same_s).sum()
    assert found["v_rand_split"] == pytest.approx(both / same_t.sum())
    assert found["v_rand_merge"] == pytest.approx(both / same_s.sum())
    assert found["v_rand"] == pytest.approx(2 * both / (same_t.sum() + same_s.sum()))
    split, merge = variation_of_information(truth, predicted, ignore_labels=(0,))
    bits_t, bits_s = (
        -sum(p * math.log2(p) for p in np.bincount(x)[np.unique(x)] / len(x)) for x in (t, s)
    )
    whole = bits_t + bits_s
    assert found["v_info"] == pytest.approx(1 - (split + merge) / whole if whole else 1, abs=1e-9)
    assert found["v_info_split"] == pytest.approx(1 - split / bits_s if bits_s else 1, abs=1e-9)
    assert found["v_info_merge"] == pytest.approx(1 - merge / bits_t if bits_t else 1, abs=1e-9)


@given(pairs())
def test_rand_error_is_that_of_scikit_image(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    structure = ndimage.generate_binary_structure(truth.ndim, 1)
    true, pred = (ndimage.label((image != 1) & (truth >= 0), structure)[0] for image in pair)
    found = regions(truth, predicted)
    with np.errstate(all="ignore"):
        error = adapted_rand_error(true, pred)[0] if true.any() else np.nan
    assert found["adapted_rand_error"] == pytest.approx(error if np.isfinite(error) else 0)


@given(
    hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4)),
    st.data(),
    st.permutations(range(5)),
    st.permutations(range(1, 5)),
)
def test_numbers_of_regions_do_not_matter(
    truth: Labels, data: st.DataObject, order: list[int], true_order: list[int]
) -> None:
    predicted = data.draw(hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4)))
    renumbered = score_regions(np.array([0, *true_order])[truth], 7 * np.array(order)[predicted])
    assert renumbered == pytest.approx(score_regions(truth, predicted))


@given(pairs())
def test_classes_other_than_the_membrane_are_alike(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    swapped = np.array([2, 1, 0])[predicted]
    assert regions(truth, swapped) == regions(truth, predicted)


@given(pairs())
def test_scores_lie_in_range_and_the_truth_itself_scores_1(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    for value in regions(truth, predicted).values():
        assert 0 <= value <= 1
    itself = score_classes(predicted, predicted, 3, membrane=1)
    assert itself.accuracy == itself.iou_mean == itself.dice_mean == 1
    assert itself.regions is not None
    assert itself.regions == dict.fromkeys(V, 1.0) | {"adapted_rand_error": 0}


@given(pairs(), st.integers(-5, 5))
def test_unannotated_pixels_take_part_in_nothing(pair: tuple[Labels, Labels], value: int) -> None:
    truth, predicted = pair
    other = np.where(truth < 0, value, predicted)
    first, second = (score_classes(truth, image, 3, membrane=1) for image in (predicted, other))
    assert first.confusion.tolist() == second.confusion.tolist()
    assert first.regions == second.regions


def test_unannotated_pixels_cut_regions_of_both() -> None:
    truth = np.array([[0, 0, -1, 0, 0]])
    for predicted in ([0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [1, 1, 1, 1, 1]):  # 1: reached by no region
        found = regions(truth, np.array([predicted]))
        assert {found[key] for key in V} == {1}


@given(pairs(), pairs())
def test_confusions_add_up(one: tuple[Labels, Labels], two: tuple[Labels, Labels]) -> None:
    joined = [np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(one, two, strict=True)]
    parts = [score_classes(*pair, 3) for pair in (one, two)]
    whole = score_classes(*joined, 3)
    assert (parts[0].confusion + parts[1].confusion).tolist() == whole.confusion.tolist()
    summary = summarise_classes([("a", parts[0]), ("b", parts[1])], NAMES)
    assert summary == summarise_classes([("ab", whole)], NAMES) | {
        key: summary[key] for key in ("per_image", "n_images")
    }


def test_all_axes_are_equal() -> None:
    truth, predicted = TRUTH.reshape(3, 2, 2), PREDICTED.reshape(3, 2, 2)
    assert (
        score_classes(truth, predicted, 3).confusion.tolist()
        == score_classes(TRUTH, PREDICTED, 3).confusion.tolist()
    )


def test_summary_by_eye() -> None:
    half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), 3, membrane=1)
    right = score_classes(np.array([[1, 1]]), np.array([[1, 1]]), 3, membrane=1)
    summary = summarise_classes([("half", half), ("right", right)], NAMES)
    assert summary["iou"] == {"cell": 1 / 2, "membrane": 2 / 3, "vesicle": None}
    assert summary["dice"] == {"cell": 2 / 3, "membrane": 4 / 5, "vesicle": None}
    assert summary["frequency"] == {"cell": 1 / 4, "membrane": 3 / 4, "vesicle": 0}
    assert summary["iou_mean"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert (summary["accuracy"], summary["pixel_error"]) == (3 / 4, 1 / 4)
    assert summary["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert summary["per_image"] == {"iou_mean": (1 / 4 + 1) / 2, "accuracy": 3 / 4}
    assert summary["regions"]["v_rand"] == 1 and set(summary["regions"]) == set(half.regions or ())
    assert (summary["n_images"], summary["n_pixels"]) == (2, 4)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_summary_without_annotated_pixels_or_regions() -> None:
    nothing = score_classes(np.array([[-1]]), np.array([[0]]), 3)
    summary = summarise_classes([("a", nothing)], NAMES)
    assert "regions" not in summary and summary["iou_mean"] is summary["accuracy"] is None
    assert summary["per_image"] == {"iou_mean": None, "accuracy": None}
    half = score_classes(np.array([[0, 1]]), np.array([[0, 0]]), 3)
    assert summarise_classes([("a", nothing), ("b", half)], NAMES)["per_image"]["accuracy"] == 1 / 2
    assert "-" in class_table(summary)


@pytest.mark.parametrize(
    ("truth", "predicted", "membrane", "words"),
    [
        (TRUTH, PREDICTED.T, None, r"\(4, 3\), expected that of the truth, \(3, 4\)"),
        (TRUTH + 1, PREDICTED, None, r"truth: values from 0 to 3, expected classes 0 to 2 or -1"),
        (TRUTH - 1, PREDICTED, None, "truth: values from -2 to 1"),
        (TRUTH, PREDICTED - 1, None, "predicted: values from -1 to 1, expected classes 0 to 2$"),
        (TRUTH, PREDICTED / 4, None, "predicted: fractional"),
        (TRUTH, PREDICTED, 3, "membrane is class 3, expected one of 0 to 2"),
        (TRUTH[0], PREDICTED[0], 1, r"shape \(4,\), expected 2 or 3 axes"),
    ],
)
def test_bad_classes_are_named(
    truth: NDArray[Any], predicted: NDArray[Any], membrane: int | None, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        score_classes(truth, predicted, 3, membrane)


def test_bad_names_and_no_images_are_named() -> None:
    found = DenseScores(np.eye(2, dtype=np.int64))
    with pytest.raises(DataError, match="no images"):
        summarise_classes([], ["a", "b"])
    with pytest.raises(DataError, match=r"\['a'\], expected 2 different"):
        summarise_classes([("image", found)], ["a"])
    with pytest.raises(DataError, match="expected 2 different"):
        flat_class_scores(found, ["a", "a"])


def test_planes_of_a_volume_may_be_images_of_their_own() -> None:
    # Two cells with a wall between them; in the second plane the prediction has no wall.
    plane = np.array([[0, 0, 1, 0, 0]] * 4)
    truth = np.stack([plane, plane])
    predicted = np.stack([plane, 0 * plane])
    whole = score_classes(truth, predicted, 2, membrane=1).regions
    apart = score_classes(truth, predicted, 2, membrane=1, planes=True).regions
    first = score_classes(plane, plane, 2, membrane=1).regions
    second = score_classes(plane, 0 * plane, 2, membrane=1).regions
    assert whole is not None and apart is not None and first is not None and second is not None
    assert apart == {key: (first[key] + second[key]) / 2 for key in first}
    assert whole["v_rand_merge"] < apart["v_rand_merge"] < 1
    unknown = np.stack([plane, np.full_like(plane, -1)])
    assert score_classes(unknown, predicted, 2, membrane=1, planes=True).regions == first

"""Scores: by eye, against slow definitions and scikit-image, and what must not change them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from skimage.metrics import adapted_rand_error, variation_of_information

from embedseg.scoring import ObjectScoring, find_errors, match_objects, score
from embedseg.scoring.objects import MEAN_OVER, THRESHOLDS
from embedseg.types import DataError
from strategies import Labels, pairs_of_labels

# Object 1 is found exactly, 2 loses a third, 3 is split in halves, 4 is missed, 9 is not there.
TRUTH = np.array(
    [
        [1, 1, 0, 2, 2, 2],
        [1, 1, 0, 2, 2, 2],
        [0, 0, 0, 0, 0, 0],
        [3, 3, 3, 3, 0, 4],
        [0, 0, 0, 0, 0, 0],
    ]
)
PREDICTED = np.array(
    [
        [6, 6, 0, 5, 5, 0],
        [6, 6, 0, 5, 5, 0],
        [0, 0, 0, 0, 0, 0],
        [7, 7, 8, 8, 0, 0],
        [0, 0, 0, 0, 0, 9],
    ]
)
EMPTY = np.zeros((3, 4), int)
ONE = np.ones((3, 4), int)


def slow_iou(truth: Labels, predicted: Labels) -> NDArray[np.float64]:
    """IoU of all pairs; truth without -1."""
    rows, columns = np.unique(truth[truth > 0]), np.unique(predicted[predicted > 0])
    table = [
        [
            ((truth == i) & (predicted == j)).sum() / ((truth == i) | (predicted == j)).sum()
            for j in columns
        ]
        for i in rows
    ]
    return np.array(table, float).reshape(len(rows), len(columns))


# -- by eye ----------------------------------------------------------------------------------------
def test_scores_by_eye() -> None:
    found = score(TRUTH, PREDICTED)
    assert (found.n_true, found.n_pred) == (4, 5)
    # At 0.5: 1 and 2 with IoU 1 and 2/3, and one half of 3; from 0.55 to 0.65 without the half.
    assert [found.tp[key] for key in ("0.50", "0.55", "0.65", "0.70", "0.95")] == [3, 2, 2, 1, 1]
    assert found.ap["0.50"] == 3 / 6
    assert found.precision["0.50"] == 3 / 5
    assert found.recall["0.50"] == 3 / 4
    assert found.f1["0.50"] == found.rq == pytest.approx(2 / 3)
    assert found.ap_mean == pytest.approx((3 / 6 + 3 * 2 / 7 + 5 * 1 / 8) / 9)
    assert found.sq == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert found.pq == pytest.approx(found.sq * 2 / 3)
    # Neither half covers *more* than half of 3.
    assert found.seg == pytest.approx((1 + 2 / 3) / 4)
    # Unions 4, 6, 4; object 4 (1 pixel), the other half of 3 (2 pixels) and 9 are left over.
    assert found.aji == pytest.approx((4 + 4 + 2) / (4 + 6 + 4 + 1 + 2 + 1))


def test_errors_by_eye() -> None:
    assert match_objects(TRUTH, PREDICTED).tolist() in (
        [[1, 6], [2, 5], [3, 7]],
        [[1, 6], [2, 5], [3, 8]],
    )
    assert match_objects(TRUTH, PREDICTED, 0.7).tolist() == [[1, 6]]
    missed, spurious = find_errors(TRUTH, PREDICTED, 0.6)
    assert missed.tolist() == [3, 4] and spurious.tolist() == [7, 8, 9]


def test_rand_by_eye() -> None:
    # Pairs of pixels within objects: 3 in truth (of three pixels), 1 in the prediction and common.
    assert score(np.array([[1, 1, 1]]), np.array([[2, 2, 3]])).rand == 1 / 2
    assert score(np.array([[1]]), np.array([[0]])).rand == 0


def test_voi_by_eye() -> None:
    split = score(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 8, 8]]))
    assert (split.voi_split, split.voi_merge) == (1, 0)
    merged = score(np.array([[1, 1, 8, 8]]), np.array([[1, 1, 1, 1]]))
    assert (merged.voi_split, merged.voi_merge) == (0, 1)


def test_voi_and_rand_come_first_where_objects_fill_the_image() -> None:
    dense, sparse = np.array([[1, 1, 1, 2, 0]]), np.array([[1, 1, 1, 0, 0]])
    assert score(dense, dense).covered == 0.8 and score(sparse, sparse).covered == 0.6
    assert score(np.array([[1, -1, 0]]), np.array([[1, 1, 1]])).covered == 0.5
    scoring = ObjectScoring()
    for truth, first in ((dense, True), (sparse, False)):
        summary = scoring.summarise([("a", scoring.compare(truth, truth))])
        assert scoring.table(summary).startswith("VOI 0.000  VOI split 0.000") == first
        titles = [table.title for table in scoring.tables(summary)]
        assert titles[0].startswith("Objects cover 80%") == first
        assert len(titles) == 2 + first
        assert (next(iter(scoring.headline(summary))) == "VOI") == first
        assert scoring.main[0] in scoring.headline(summary)
        # Each score stands in one of the tables.
        rows = [row[0] for table in scoring.tables(summary)[-1 - first :] for row in table.rows]
        assert ("VOI" in rows) != first


def test_matching_is_optimal_not_greedy() -> None:
    # IoU: 1-1 is 4/10, 1-2 is 3/10, 2-1 is 4/11, 2-2 is 0; greedily only one pair would be left.
    truth = np.array([[1] * 7 + [2] * 5 + [0] * 2])
    predicted = np.array([[2] * 3 + [1] * 8 + [0] * 3])
    assert match_objects(truth, predicted, 0.3).tolist() == [[1, 2], [2, 1]]
    assert score(truth, predicted, thresholds=(0.3, 0.1)).tp["0.30"] == 2


def test_iou_equal_to_the_threshold_matches() -> None:
    for whole in range(2, 21):
        for part in range((whole + 1) // 2, whole + 1):
            found = score(np.ones((1, whole), int), np.arange(whole)[None] < part)
            for t in THRESHOLDS:
                assert found.tp[f"{t:.2f}"] == (100 * part >= round(100 * t) * whole)


# -- nothing there ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("truth", "predicted", "value"),
    [
        (EMPTY, EMPTY, 1),
        (EMPTY, ONE, 0),
        (EMPTY - 1, ONE, 1),
        (EMPTY - 1, EMPTY, 1),
        (ONE, ONE, 1),
        (np.zeros((0, 4), int), np.zeros((0, 4), int), 1),
    ],
    ids=["empty", "spurious", "unannotated", "unannotated empty", "one", "no pixels"],
)
def test_without_objects_all_scores_are_defined(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], value: float
) -> None:
    found = score(truth, predicted).to_dict()
    for name in ("ap", "precision", "recall", "f1"):
        assert set(found[name].values()) == {value}
    for name in ("ap_mean", "pq", "sq", "rq", "seg", "aji", "rand"):
        assert found[name] == value
    assert found["voi_split"] == found["voi_merge"] == 0


def test_missing_everything_scores_0() -> None:
    found = score(TRUTH, 0 * TRUTH)
    assert found.ap_mean == found.pq == found.sq == found.seg == found.aji == 0
    assert found.precision["0.50"] == found.recall["0.50"] == found.f1["0.50"] == 0
    assert find_errors(TRUTH, 0 * TRUTH)[0].tolist() == [1, 2, 3, 4]


# -- not annotated ---------------------------------------------------------------------------------
def test_objects_mostly_on_unannotated_pixels_do_not_count() -> None:
    # In every column a pixel is annotated, so that none is cut out.
    truth = np.array([[-1, -1, -1, 0, 0, 1, 1, -1], [0] * 8])
    predicted = np.array([[2, 2, 3, 3, 4, 5, 5, 5], [0] * 8])
    # 2 lies there wholly, 3 by half, which is not more than half; 5 is compared without its third.
    assert score(truth, predicted).n_pred == 3
    assert match_objects(truth, predicted, 1.0).tolist() == [[1, 5]]
    assert find_errors(truth, predicted)[1].tolist() == [3, 4]
    mostly = np.array([[-1, -1, 1, 0], [0] * 4])
    assert score(mostly, np.array([[5, 5, 5, 0], [0] * 4])).n_pred == 0
    assert score(mostly, np.array([[5, 5, 5, 0], [0] * 4])).recall["0.50"] == 0


def test_annotated_slices_and_boxes_are_images_of_their_own() -> None:
    whole, predicted = np.zeros((2, 9, 6, 6), np.int64)
    whole[2:8, 1:4, 1:4] = 1
    predicted[1:8, 1:4, 1:4] = 5
    predicted[2:8, 5, :] = 6
    slices = np.full_like(whole, -1)
    slices[[0, 4]] = whole[[0, 4]]
    box = np.full_like(whole, -1)
    box[3:6, :, :5] = whole[3:6, :, :5]
    for truth in (slices, box):
        found = score(truth, predicted)
        assert (found.n_true, found.n_pred, found.tp["0.95"]) == (1, 2, 1)
        assert find_errors(truth, predicted)[1].tolist() == [6]
    assert score(np.full_like(whole, -1), predicted).ap_mean == 1


@given(pairs_of_labels(unannotated=True))
def test_unannotated_pixels_take_part_in_nothing_else(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    for axis in range(truth.ndim):
        others = tuple(d for d in range(truth.ndim) if d != axis)
        shown = (truth >= 0).any(axis=others)
        truth, predicted = (np.compress(shown, image, axis) for image in (truth, predicted))
    ids = np.unique(predicted[predicted > 0])
    away = [k for k in ids if (truth[predicted == k] < 0).mean() > 0.5]
    cleaned = np.where(np.isin(predicted, away) | (truth < 0), 0, predicted)
    on = truth >= 0
    assert score(truth, predicted) == score(truth[on][None], cleaned[on][None])


# -- definitions -----------------------------------------------------------------------------------
@given(pairs_of_labels())
def test_scores_are_those_of_the_slow_definitions(pair: tuple[Labels, Labels]) -> None:
    truth, predicted = pair
    overlap = slow_iou(truth, predicted)
    n_true, n_pred = overlap.shape
    found = score(truth, predicted, thresholds=(0.1, 0.2))
    assert (found.n_true, found.n_pred) == (n_true, n_pred)
    for key, tp in found.tp.items():
        gain = (overlap >= float(key)) * (1 + overlap / 100)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        assert tp == (gain[rows, columns] > 0).sum()
        if key == "0.50" and tp:
            pairs = overlap[rows, columns][gain[rows, columns] > 0]
            assert found.sq == pytest.approx(pairs.mean())
    if n_true and n_pred:
        sizes = [(truth == k).sum() for k in np.unique(truth[truth > 0])]
        ids = np.unique(predicted[predicted > 0])
        covered = [
            [((truth == i) & (predicted == j)).sum() for j in ids]
            for i in np.unique(truth[truth > 0])
        ]
        covering = 2 * np.array(covered) > np.array(sizes)[:, None]
        assert found.seg == pytest.approx((overlap * covering).sum() / n_true)
        assert found.aji == pytest.approx(slow_aji(truth, predicted))


def slow_aji(truth: Labels, predicted: Labels) -> float:
    """Follow algorithm 1 of Kumar et al. 2017."""
    overlap = slow_iou(truth, predicted)
    ids = np.unique(predicted[predicted > 0])
    used, common, union = set(), 0, 0
    for row, i in zip(overlap, np.unique(truth[truth > 0]), strict=True):
        if row.max() == 0:
            union += (truth == i).sum()
            continue
        j = ids[row.argmax()]
        used.add(j)
        common += ((truth == i) & (predicted == j)).sum()
        union += ((truth == i) | (predicted == j)).sum()
    union += sum((predicted == j).sum() for j in ids if j not in used)
    return float(common / union)


@given(pairs_of_labels())
def test_rand_and_voi_are_those_of_scikit_image(pair: tuple[Labels, Labels]) -> None:
    found = score(*pair)
    with np.errstate(all="ignore"):
        error = adapted_rand_error(*pair)[0]
    if np.isfinite(error):
        assert found.rand == pytest.approx(1 - error)
    expected = variation_of_information(*pair)
    assert [found.voi_split, found.voi_merge] == pytest.approx(expected, abs=1e-9)


# -- what must hold --------------------------------------------------------------------------------
@given(pairs_of_labels(), st.permutations(range(1, 5)), st.integers(0, 1000))
def test_numbers_do_not_matter(pair: tuple[Labels, Labels], order: list[int], offset: int) -> None:
    truth, predicted = pair
    renumbered = np.array([0, *(offset + k for k in order)])[predicted]
    first, second = score(truth, predicted).to_dict(), score(truth, renumbered).to_dict()
    # Equal IoU may be chosen differently by AJI, which takes one object for several.
    del first["aji"], second["aji"]
    for name, value in first.items():
        assert second[name] == pytest.approx(value, abs=1e-9)


@given(pairs_of_labels())
def test_swapping_the_images_swaps_precision_and_recall(pair: tuple[Labels, Labels]) -> None:
    there, back = score(*pair), score(*reversed(pair))
    assert there.ap == back.ap and there.pq == pytest.approx(back.pq)
    assert there.precision == back.recall
    assert there.voi_split == pytest.approx(back.voi_merge, abs=1e-9)


@given(pairs_of_labels(unannotated=True))
def test_scores_lie_in_range(pair: tuple[Labels, Labels]) -> None:
    found = score(*pair)
    for name in ("ap_mean", "pq", "sq", "rq", "seg", "aji", "rand"):
        assert 0 <= getattr(found, name) <= 1 + 1e-12, name
    assert found.voi_split >= 0 and found.voi_merge >= 0
    values = list(found.ap.values())
    assert values == sorted(values, reverse=True)
    itself = score(pair[1], pair[1])
    assert itself.ap_mean == itself.pq == itself.aji == itself.seg == itself.rand == 1


def test_all_axes_are_equal() -> None:
    volume, other = TRUTH.reshape(5, 2, 3), PREDICTED.reshape(5, 2, 3)
    assert score(volume, other) == score(TRUTH, PREDICTED)


def test_to_dict_holds_plain_numbers() -> None:
    found = score(TRUTH, PREDICTED).to_dict()
    assert list(found["ap"]) == [f"{t:.2f}" for t in THRESHOLDS]
    assert MEAN_OVER == ("0.50", "0.55", "0.60", "0.65", "0.70", "0.75", "0.80", "0.85", "0.90")
    assert {type(value) for value in found.values()} == {dict, float, int}
    assert {type(value) for value in found["f1"].values()} == {float}


@pytest.mark.parametrize(
    ("truth", "predicted", "words"),
    [
        (EMPTY, EMPTY.T, r"\(4, 3\).*\(3, 4\)"),
        (EMPTY - 2, EMPTY, "truth: values from -2"),
        (EMPTY, EMPTY + 0.5, "predicted: fractional"),
    ],
)
def test_bad_labels_are_named(
    truth: NDArray[np.float64], predicted: NDArray[np.float64], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        score(truth, predicted)


def test_many_objects_are_fast() -> None:
    side = np.arange(128 * 8) // 8
    truth = (np.add.outer(side * 128, side) + 1).astype(np.int32)  # 16,384 touching squares
    begun = time.perf_counter()
    found = score(truth, np.roll(truth, (1, 2), (0, 1)), thresholds=(0.1, 0.3))
    assert time.perf_counter() - begun < 5
    # A square without one row and two columns: 42 of 86 pixels.
    assert found.n_true == 16384 and found.tp["0.30"] > 16000 and found.tp["0.50"] == 0

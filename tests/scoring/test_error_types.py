"""What becomes of objects: an example to check by eye, and what has to add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from embedseg.scoring import ErrorTypes, classify_errors, match_objects, score
from embedseg.scoring.error_types import OF_PREDICTED, OF_TRUE
from embedseg.types import DataError
from strategies import Labels, pairs_of_labels


def drawn(text: str) -> NDArray[np.int32]:
    """Label image of digits, "." is background."""
    rows = text.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.int32)


TRUTH = drawn(
    """
    111 . 2222 . 33.44 . 55 . 66 . 77777 . ...
    111 . 2222 . 33.44 . 55 . 66 . 77777 . ...
    ... . 2222 . ..... . .. . 66 . 77777 . ...
    ... . 2222 . ..... . .. . .. . ..... . 888
""".replace(" . ", ".")
)
FOUND = drawn(
    """
    111 . 2233 . 44444 . .. . 66 . 77778 . ...
    111 . 2233 . 44444 . 5. . 66 . 77778 . 9..
    ... . 2233 . ..... . .. . 6. . 77778 . ...
    ... . .... . ..... . .. . .. . ..... . ...
""".replace(" . ", ".")
)
# 1 and 6 are found, 2 lies in two pieces, 3 and 4 in one, 5 is hardly touched, 8 not at all; of 7 a
# slice is an object of its own, which holds no half of anything; 9 is where nothing is.


def numbers(kinds: ErrorTypes) -> dict[str, list[int]]:
    return {
        name: getattr(kinds, name).tolist()
        for name in ("missed", "split", "merged", "fragments", "merging", "spurious")
    }


def test_by_eye() -> None:
    kinds = classify_errors(TRUTH, FOUND)
    assert kinds.matched.tolist() == [[1, 1], [6, 6], [7, 7]]
    assert numbers(kinds) == {
        "missed": [5, 8],
        "split": [2],
        "merged": [3, 4],
        "fragments": [2, 3, 8],
        "merging": [4],
        "spurious": [5, 9],
    }
    assert kinds.counts() == {
        "matched": 3,
        "missed": 2,
        "split": 1,
        "merged": 2,
        "fragments": 3,
        "merging": 1,
        "spurious": 2,
    }


def test_a_small_object_swallowed_by_a_match_is_merged() -> None:
    truth, found = drawn("1111112."), drawn("5555555.")
    kinds = classify_errors(truth, found)
    assert kinds.matched.tolist() == [[1, 5]]
    assert kinds.merged.tolist() == [2] and not len(kinds.merging)


def test_crumbs_of_an_object_are_no_split() -> None:
    kinds = classify_errors(drawn("1111111111"), drawn("5.....6..."))
    assert numbers(kinds) == {
        "missed": [1],
        "split": [],
        "merged": [],
        "fragments": [],
        "merging": [],
        "spurious": [5, 6],
    }


def test_a_volume_is_one_image() -> None:
    truth = np.stack([TRUTH, TRUTH])
    assert numbers(classify_errors(truth, np.stack([FOUND, FOUND]))) == numbers(
        classify_errors(TRUTH, FOUND)
    )


def test_what_is_not_annotated_does_not_count() -> None:
    truth = np.where(TRUTH == 0, np.int32(-1), TRUTH)
    kinds = classify_errors(truth, FOUND)
    assert kinds.spurious.tolist() == [5]  # 9 lies where nobody looked
    assert kinds.missed.tolist() == [5, 8]


def test_nothing_and_what_is_refused() -> None:
    empty = np.zeros((3, 4), np.int32)
    assert not any(classify_errors(empty, empty).counts().values())
    with pytest.raises(DataError, match=r"\(3, 4\).*\(3, 5\)"):
        classify_errors(np.zeros((3, 5), np.int32), empty)
    with pytest.raises(ValueError, match=r"0\.4"):
        classify_errors(empty, empty, 0.4)


@given(pairs_of_labels(unannotated=True))
def test_everything_is_exactly_one_thing_and_adds_up(pair: tuple[Labels, Labels]) -> None:
    truth, found = pair
    kinds, scores = classify_errors(truth, found), score(truth, found)
    counts = kinds.counts()
    assert np.array_equal(kinds.matched, match_objects(truth, found))
    true = [*kinds.matched[:, 0], *kinds.missed, *kinds.split, *kinds.merged]
    assert sorted(true) == np.unique(truth[truth > 0]).tolist()
    pred = [*kinds.matched[:, 1], *kinds.fragments, *kinds.merging, *kinds.spurious]
    assert len(set(pred)) == len(pred) == scores.n_pred
    assert set(pred) <= set(np.unique(found[found > 0]))
    assert sum(counts[name] for name in OF_TRUE) == scores.n_true
    assert sum(counts[name] for name in OF_PREDICTED) == scores.n_pred
    assert counts["matched"] == scores.tp["0.50"]
    assert counts["merged"] >= 2 * counts["merging"]
    assert counts["fragments"] >= 2 * counts["split"]


@given(pairs_of_labels())
def test_numbers_of_labels_do_not_matter(pair: tuple[Labels, Labels]) -> None:
    truth, found = pair
    other = np.where(found > 0, 100 - 7 * found, 0)
    assert classify_errors(truth, other).counts() == classify_errors(truth, found).counts()
    assert classify_errors(truth, truth).counts()["matched"] == len(np.unique(truth[truth > 0]))
    assert (
        classify_errors(truth[::-1].copy(), found[::-1].copy()).counts()
        == classify_errors(truth, found).counts()
    )


def literal(truth: Labels, found: Labels) -> dict[str, set[int]]:
    """The definitions one after the other, object by object."""
    pairs = match_objects(truth, found)
    trues = {t: truth == t for t in set(truth[truth > 0].tolist())}
    preds = {p: found == p for p in set(found[found > 0].tolist())}
    lone_true, lone_pred = set(trues) - set(pairs[:, 0]), set(preds) - set(pairs[:, 1])

    def holds(p: int) -> set[int]:
        return {t for t, at in trues.items() if 2 * (at & preds[p]).sum() > at.sum()}

    merging = {p for p in lone_pred if len(holds(p)) > 1}
    merged = {t for t in lone_true for p in preds if t in holds(p) and len(holds(p)) > 1}
    pieces = {
        t: {p for p in set(preds) - merging if 2 * (at & preds[p]).sum() > preds[p].sum()}
        for t, at in trues.items()
    }
    parted = {
        t
        for t, of in pieces.items()
        if len(of) > 1 and 2 * sum((trues[t] & preds[p]).sum() for p in of) > trues[t].sum()
    }
    split = (parted & lone_true) - merged
    fragments = (lone_pred - merging) & {p for t in parted for p in pieces[t]}
    return {
        "missed": lone_true - merged - split,
        "split": split,
        "merged": merged,
        "fragments": fragments,
        "merging": merging,
        "spurious": lone_pred - merging - fragments,
    }


@st.composite
def patchy(draw: st.DrawFn) -> tuple[Labels, Labels]:
    """Stripes cut in different places: full of pieces and unions."""
    cuts = st.lists(st.integers(0, 3), min_size=24, max_size=24)
    first, second = (np.repeat(np.array(draw(cuts), np.int32), 2).reshape(6, 8) for _ in range(2))
    return np.repeat(first, 2, 0)[:6], np.where(second == 3, first[::-1], second)


@given(st.one_of(pairs_of_labels(), patchy()))
def test_the_words_mean_what_is_computed(pair: tuple[Labels, Labels]) -> None:
    truth, found = pair
    assert {
        name: set(ids) for name, ids in numbers(classify_errors(truth, found)).items()
    } == literal(truth, found)

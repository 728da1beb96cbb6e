"""Tables of class scores."""

from __future__ import annotations

import numpy as np

from embedseg.scoring.class_tables import class_table, flat_class_scores
from embedseg.scoring.classes import score_classes, summarise_classes

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


def test_table_by_eye() -> None:
    found = class_table(
        summarise_classes([("a", score_classes(TRUTH, PREDICTED, 3, membrane=1))], NAMES)
    )
    lines = [line.split() for line in found.splitlines()]
    assert ["cell", "0.667", "0.800", "1.000", "0.667", "27.3%"] in lines
    assert ["membrane", "0.667", "0.800", "0.800", "0.800", "45.5%"] in lines
    assert ["mean", "0.694", "0.819"] in lines
    assert ["membrane", "0.0", "80.0", "20.0"] in lines
    assert "pixel accuracy 0.818" in found and "V_rand" in found and "1 image," in found


def test_table_fits_100_columns() -> None:
    names = [f"a class with quite a long name {k}" for k in range(8)]
    image = np.arange(8)[None]
    for line in class_table(
        summarise_classes([("a", score_classes(image, image, 8, membrane=0))], names)
    ).splitlines():
        assert len(line) <= 100


def test_flat_is_one_row() -> None:
    found = flat_class_scores(score_classes(TRUTH, PREDICTED, 3, membrane=1), NAMES)
    assert list(found)[:6] == [f"{key}_{name}" for key in ("iou", "dice") for name in NAMES]
    assert list(found)[6:] == ["iou_mean", "dice_mean", "accuracy", *V, "adapted_rand_error"]
    assert {type(value) for value in found.values()} == {float}
    assert found["iou_vesicle"] == 3 / 4
    assert "v_rand" not in flat_class_scores(score_classes(TRUTH, PREDICTED, 3), NAMES)

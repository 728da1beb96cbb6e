"""Scores of data sets: folders, summaries, tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from embedseg.data import Sample
from embedseg.evaluation import score_folders, score_samples, write_csv
from embedseg.scoring import ClassScoring, ObjectScoring, object_table, score
from embedseg.scoring.object_tables import summarise_objects
from embedseg.types import DataError, Segmentation

EMPTY = np.zeros((4, 6), np.int32)
TWO = np.array([[1, 1, 0, 0, 2, 2]] * 4, np.int32)
ONE = np.array([[0, 0, 0, 0, 7, 7]] * 4, np.int32)
SPURIOUS = np.array([[0, 0, 3, 3, 0, 0]] * 4, np.int32)


def write(folder: Path, axes: str = "YX", **images: NDArray[Any]) -> Path:
    folder.mkdir()
    for name, labels in images.items():
        tifffile.imwrite(
            folder / f"{name}.tif",
            labels.astype(np.uint16),
            metadata={"axes": axes},
            photometric="minisblack",
        )
    return folder


def test_mean_and_pooled_by_eye() -> None:
    # Half of two found, nothing of nothing found, one found too many.
    summary = summarise_objects(
        [("a", score(TWO, ONE)), ("b", score(EMPTY, EMPTY)), ("c", score(ONE, ONE + SPURIOUS))]
    )
    assert summary["ap"]["0.50"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert summary["pooled"]["0.95"] == summary["pooled_mean"] == 2 / 4
    assert summary["recall"]["0.50"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert summary["seg"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert (summary["n_true"], summary["n_pred"], summary["n_images"]) == (3, 3, 3)


def test_summary_is_the_json_object_that_scripts_rely_on() -> None:
    summary = json.loads(json.dumps(summarise_objects([("a", score(TWO, ONE))])))
    keys = [f"0.{t}" for t in range(50, 100, 5)]
    assert list(summary["ap"]) == list(summary["pooled"]) == keys
    assert set(summary) == {
        "ap",
        "pooled",
        "ap_mean",
        "pooled_mean",
        "pq",
        "sq",
        "rq",
        "seg",
        "aji",
        "rand",
        "voi",
        "voi_split",
        "voi_merge",
        "covered",
        "n_true",
        "n_pred",
        "n_images",
        "precision",
        "recall",
        "f1",
    }


def test_empty_data_sets() -> None:
    summary = summarise_objects([("a", score(EMPTY, EMPTY))])
    assert summary["ap_mean"] == summary["pooled_mean"] == summary["rand"] == 1
    with pytest.raises(DataError, match="no images"):
        summarise_objects([])


def test_table_shows_what_the_summary_holds() -> None:
    text = object_table(summarise_objects([("a", score(TWO, ONE)), ("b", score(ONE, ONE))]))
    rows = {line[:10].strip(): line[10:].split() for line in text.splitlines()}
    assert rows["AP"] == ["0.750"] * 11 and rows["AP pooled"] == ["0.667"] * 11
    assert rows["precision"] == ["1.000"] * 10 and rows["IoU"][0] == "0.50"
    assert "SEG 0.750" in text and "2 images, 3 true and 2 predicted" in text


def test_csv_has_a_row_per_image(tmp_path: Path) -> None:
    write_csv(tmp_path / "scores.csv", [("a", score(TWO, ONE)), ("b, c", score(ONE, ONE))])
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a", "b, c"]
    assert float(rows[0]["ap_0.50"]) == 0.5 and float(rows[1]["pq"]) == 1
    assert rows[0]["n_true"] == "2" and float(rows[0]["precision_0.95"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_folders_are_paired_and_scored(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", Y2=TWO, Y10=ONE)
    predicted = write(tmp_path / "predicted", P2=ONE, P10=ONE)
    assert score_folders(truth, predicted) == [("Y2", score(TWO, ONE)), ("Y10", score(ONE, ONE))]


def test_a_value_may_mean_not_annotated(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", a=np.where(TWO == 1, 99, TWO))
    predicted = write(tmp_path / "predicted", a=TWO)
    ((_, found),) = score_folders(truth, predicted, ignore_label=99)
    assert (found.n_true, found.n_pred, found.ap_mean) == (1, 1, 1)


def test_frames_are_images_of_their_own(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", "TYX", film=np.stack([TWO, ONE]))
    predicted = write(tmp_path / "predicted", "TYX", film=np.stack([TWO, EMPTY]))
    assert score_folders(truth, predicted) == [
        ("film_t000", score(TWO, TWO)),
        ("film_t001", score(ONE, EMPTY)),
    ]


def test_volumes(tmp_path: Path) -> None:
    volume = np.stack([TWO, TWO, EMPTY])
    truth = write(tmp_path / "truth", "ZYX", a=volume)
    # Somebody else's file need not say what its axes are.
    tifffile.imwrite(
        write(tmp_path / "predicted") / "a.tif",
        volume.astype(np.uint8),
        metadata=None,
        photometric="minisblack",
    )
    assert score_folders(truth, tmp_path / "predicted") == [("a", score(volume, volume))]
    assert score_folders(tmp_path / "predicted", truth, axes="ZYX")[0][1].pq == 1


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth", a=TWO)
    with pytest.raises(DataError, match=r"predicted.a\.tif.*\(5, 6\).*truth.a\.tif.*\(4, 6\)"):
        score_folders(truth, write(tmp_path / "predicted", a=np.zeros((5, 6))))
    with pytest.raises(DataError, match=r"b\.tif"):
        score_folders(truth, write(tmp_path / "more", a=TWO, b=TWO))


class Fake:
    """Segments by threshold."""

    config = SimpleNamespace(method=SimpleNamespace(scoring=ObjectScoring))

    def segment_objects(self, image: NDArray[Any], axes: str, **options: Any) -> Segmentation:
        assert axes == "CYX" and options == {"spacing": (0.5, 0.5), "tta": True, "planes": None}
        return Segmentation(image[0].astype(np.int32))


def test_samples_are_segmented_one_by_one() -> None:
    samples = [
        Sample("a", TWO[None].astype(np.float32), TWO, (0.5, 0.5)),
        Sample("b", ONE[None].astype(np.float32), TWO, (0.5, 0.5)),
    ]
    found = list(score_samples(Fake(), samples, tta=True))  # type: ignore[arg-type]
    assert [sample.name for sample, _, _ in found] == ["a", "b"]
    assert np.array_equal(found[1][1].labels, ONE)
    assert [scores.recall["0.50"] for _, _, scores in found] == [1, 0.5]


def test_models_are_compared_by_one_scoring():
    # Two cells beside each other, in both planes; a gap in the membrane of one plane only.
    truth = np.zeros((2, 9, 20), np.int32)
    truth[:, :, 10] = 1
    found = truth.copy()
    found[1, 3:6, 10] = 0
    sample = Sample("a", np.zeros((1, *truth.shape), np.float32), truth, (1.0, 1.0, 1.0))
    model = SimpleNamespace(segment_objects=lambda *_, **__: Segmentation(found))
    by_plane, by_volume = (
        next(score_samples(model, [sample], scoring=ClassScoring(("cell", "wall"), 1, planes)))[2]
        for planes in (True, False)
    )
    assert by_plane.regions["v_rand_merge"] > by_volume.regions["v_rand_merge"]


def test_images_without_annotation_are_not_scored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They say nothing, neither good nor bad."""
    for folder, images in (("truth", {"a": TWO, "b": EMPTY - 1}), ("found", {"a": ONE, "b": ONE})):
        (tmp_path / folder).mkdir()
        for name, labels in images.items():
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", labels)
    results = score_folders(tmp_path / "truth", tmp_path / "found", axes="YX")
    assert [name for name, _ in results] == ["a"]
    assert "b: not annotated at all (-1), not scored" in caplog.text
    (tmp_path / "truth/a.tif").unlink()
    (tmp_path / "found/a.tif").unlink()
    with pytest.raises(DataError, match="nothing to score, as all pixels of b are -1"):
        score_folders(tmp_path / "truth", tmp_path / "found", axes="YX")
    image = np.zeros((1, *EMPTY.shape), np.float32)
    with pytest.raises(DataError, match="nothing to score"):
        list(
            score_samples(
                SimpleNamespace(), [Sample("b", image, EMPTY - 1)], scoring=ObjectScoring()
            )
        )


def test_images_in_place_of_labels_are_remarked_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(0).integers(100, 160, (40, 60))
    truth = write(tmp_path / "truth", a=TWO.repeat(10, 0).repeat(10, 1))
    score_folders(truth, write(tmp_path / "images", a=noise))
    assert "a.tif: is it a label image? grey mask" in caplog.text

"""Tables of objects: the numbers of scikit-image, and what can be counted by eye."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage.measure import regionprops_table

from embedseg.export import Objects, export_objects
from embedseg.export.measures import measure, touching
from embedseg.images import blobs
from embedseg.types import DataError
from strategies import labels

SPACINGS = {2: (0.5, 0.3), 3: (2.0, 0.5, 0.3)}
NAMES = {
    "equivalent_diameter_um": "equivalent_diameter_area",
    "axis_major_um": "axis_major_length",
    "axis_minor_um": "axis_minor_length",
    "size_px": "num_pixels",
}


def regionprops(labels: np.ndarray, image: np.ndarray) -> dict[str, Any]:
    """The same table by scikit-image, object by object."""
    ndim, axes = labels.ndim, "zyx"[-labels.ndim :]
    wanted = [
        "label",
        "centroid",
        "bbox",
        "area",
        "solidity",
        *NAMES.values(),
        "intensity_mean",
        "intensity_min",
        "intensity_max",
        "intensity_std",
    ]
    wanted += ["orientation", "eccentricity"] if ndim == 2 else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # flat objects have no hull there
        found = regionprops_table(
            labels, np.moveaxis(image, 0, -1), properties=wanted, spacing=SPACINGS[ndim]
        )
    table = {ours: found[theirs] for ours, theirs in NAMES.items()}
    table |= {f"centre_{axis}_um": found[f"centroid-{i}"] for i, axis in enumerate(axes)}
    table |= {f"box_{axis}_start": found[f"bbox-{i}"] for i, axis in enumerate(axes)}
    table |= {f"box_{axis}_stop": found[f"bbox-{i + ndim}"] for i, axis in enumerate(axes)}
    table |= {
        f"{name}_c{channel + 1}": found[f"intensity_{name}-{channel}"]
        for name in ("mean", "min", "max", "std")
        for channel in range(len(image))
    }
    table[f"{'area' if ndim == 2 else 'volume'}_um{ndim}"] = found["area"]
    return table | {
        name: found[name] for name in ("orientation", "eccentricity", "solidity") if name in found
    }


def same(labels: np.ndarray, image: np.ndarray) -> None:
    found = measure(Objects(labels, SPACINGS[labels.ndim], image=image))
    for name, expected in regionprops(labels, image).items():
        if name == "orientation":  # at its two ends it is the same
            np.testing.assert_allclose(
                np.sin(2 * found["orientation_rad"]), np.sin(2 * expected), atol=1e-6
            )
            continue
        known = np.isfinite(expected)
        # Where an axis has no length, it is the root of what rounding leaves.
        np.testing.assert_allclose(
            found[name][known], expected[known], rtol=1e-6, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize("shape", [(80, 90), (16, 40, 36)])
def test_blobs_are_what_scikit_image_says(shape: tuple[int, ...]) -> None:
    image, labels = blobs(shape, 9, seed=3)
    same(labels, np.stack([image, 100 * image**2]))


@settings(max_examples=25)
@given(st.data())
def test_anything_is_what_scikit_image_says(data: st.DataObject) -> None:
    found = data.draw(labels(unannotated=True))
    if (found > 0).any():
        same(np.maximum(found, 0), np.random.default_rng(0).random((1, *found.shape)))


def test_by_eye() -> None:
    scene = np.array([[1, 1, 0, 0], [1, 1, 2, 2], [0, 0, 0, 0], [0, 4, 0, -1], [0, 0, 0, 0]])
    table = measure(Objects(scene.astype(np.int32), (2.0, 1.0), scores={1: 0.5, 4: 0.25}))
    rows = {name: column.tolist() for name, column in table.items()}
    assert rows["label"] == [1, 2, 4]
    assert rows["centre_y_um"] == [1.0, 2.0, 6.0] and rows["centre_x_um"] == [0.5, 2.5, 1.0]
    assert (rows["size_px"], rows["area_um2"]) == ([4, 2, 1], [8.0, 4.0, 2.0])
    assert rows["touches_border"] == [True, True, False]
    assert rows["neighbours"] == [1, 1, 0]
    assert rows["solidity"] == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(table["score"], [0.5, np.nan, 0.25])
    assert rows["axis_minor_um"][1] == 0 and rows["eccentricity"][1] == 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_measures_are_in_pixels_where_no_spacing_is_known(ndim: int) -> None:
    labels = np.ones((2, 3, 4)[-ndim:], np.int32)
    known = measure(Objects(labels, (1.0,) * ndim))
    found = measure(Objects(labels, (1.0,) * ndim, spacing_known=False))
    assert not any("um" in name.split("_")[-1] for name in found)
    quantity = {2: "area_px2", 3: "volume_px3"}[ndim]
    assert {quantity, "centre_x_px", "equivalent_diameter_px", "axis_major_px"} <= set(found)
    for one, other in zip(known.values(), found.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_intensities_have_the_names_of_channels() -> None:
    labels, image = np.ones((2, 3), np.int32), np.stack([np.ones((2, 3)), np.full((2, 3), 5.0)])
    table = measure(Objects(labels, (1.0, 1.0), image=image, channels=("Alexa 488", "DAPI")))
    assert (table["mean_Alexa_488"], table["max_DAPI"]) == (1, 5)
    assert "mean_c2" in measure(Objects(labels, (1.0, 1.0), image=image))


def test_flat_objects_of_volumes_have_hulls_too() -> None:
    labels = np.zeros((3, 4, 5), np.int32)
    labels[1, 1:3, 1:4], labels[1, 3, 0] = 6, 2
    assert measure(Objects(labels, (1.0, 1.0, 1.0)))["solidity"].tolist() == [1.0, 1.0]


@given(labels())
def test_touching_as_found_pixel_by_pixel(labels: np.ndarray) -> None:
    expected = set()
    for place in np.ndindex(labels.shape):
        for axis in range(labels.ndim):
            if place[axis] + 1 < labels.shape[axis]:
                beside = tuple(i + (axis == d) for d, i in enumerate(place))
                pair = sorted((int(labels[place]), int(labels[beside])))
                if pair[0] and pair[0] != pair[1]:
                    expected.add(tuple(pair))
    assert {tuple(pair) for pair in touching(labels).tolist()} == expected


def test_objects_are_found_across_what_is_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, labels = blobs((60, 70), 20, seed=1)
    objects = Objects(labels, (1.0, 1.0), image=image[np.newaxis])
    whole = measure(objects)
    monkeypatch.setattr("embedseg.export.measures.BATCH", 300)
    for name, column in measure(objects).items():
        np.testing.assert_allclose(column, whole[name], err_msg=name)


@pytest.mark.parametrize("n", [0, 2])
def test_csv(n: int, tmp_path: Path) -> None:
    labels = np.zeros((6, 7), np.int32)
    labels[:, :n] = np.arange(n) + 1
    export_objects(tmp_path / "a.csv", Objects(labels, (0.5, 0.5), scores={1: 0.91}), "csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "2"][:n]
    assert [row["score"] for row in rows] == ["0.91", ""][:n]
    assert [row["area_um2"] for row in rows] == ["1.5", "1.5"][:n]


def test_another_image_is_said() -> None:
    objects = Objects(np.ones((4, 5), np.int32), (1.0, 1.0), "cells", image=np.ones((1, 5, 5)))
    with pytest.raises(DataError, match=r"cells: labels of shape \(4, 5\).* of shape \(5, 5\)"):
        measure(objects)


def test_pixels_without_image_are_counted_and_left_out() -> None:
    found = np.array([[1, 1, 1, 0], [2, 2, 0, 3]], np.int32)
    image = np.array([[[2, 4, np.nan, 7], [np.nan, np.nan, 7, 5]]], np.float32)
    table = measure(Objects(found, (1.0, 1.0), image=image))
    assert table["missing_c1"].tolist() == [1, 2, 0]
    nan = float("nan")
    expected = {"mean": [3, nan, 5], "min": [2, nan, 5], "max": [4, nan, 5], "std": [1, nan, 0]}
    for name, values in expected.items():
        np.testing.assert_array_equal(table[f"{name}_c1"], values)
    whole = measure(Objects(found, (1.0, 1.0), image=np.nan_to_num(image)))
    assert "missing_c1" not in whole

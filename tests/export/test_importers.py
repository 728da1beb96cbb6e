"""Masks as napari, Labkit and QuPath write them are accepted, or it is said what to do."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from commands import Run
from embedseg.images import blobs, read_labels

PAGE = Path(__file__).parents[2] / "examples/docs/pages/how-to/masks.md"


def napari(path: Path, labels: NDArray[Any]) -> None:
    """Write as "Save Selected Layers" does: no axes, deflate."""
    tifffile.imwrite(path, labels, compression="zlib", compressionargs={"level": 1})


def imagej(path: Path, labels: NDArray[Any]) -> None:
    """Write as ImageJ does, and Labkit with it: planes of a volume are slices."""
    tifffile.imwrite(path, labels, imagej=True, metadata={"axes": "ZYX"[-labels.ndim :]})


def scifio(path: Path, labels: NDArray[Any]) -> None:
    """Write planes that say nothing but their size."""
    tifffile.imwrite(path, labels, metadata=None, photometric="minisblack")


def folder(root: Path, write: Any, ndim: int, dtype: str, bitmap: bool = False) -> NDArray[Any]:
    """Write a data folder with an image in train and val, and return its labels."""
    shape = (64, 64) if ndim == 2 else (12, 48, 48)
    image, labels = blobs(shape, n=6, seed=1)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        tifffile.imwrite(
            root / split / "images/a.tif",
            image.astype(np.float32),
            imagej=True,
            resolution=(2, 2),
            metadata={"axes": "ZYX"[-ndim:], "spacing": 2.0, "unit": "um"},
        )
        written = np.where(labels > 0, 255, 0) if bitmap else labels
        write(root / split / "masks/a.tif", written.astype(dtype))
    return labels


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    ("write", "dtype"),
    [
        (napari, "uint8"),
        (napari, "uint16"),
        (napari, "int32"),
        (imagej, "uint8"),
        (imagej, "uint16"),
        (imagej, "float32"),
        (scifio, "uint16"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_label_images_are_accepted(
    write: Any, dtype: str, ndim: int, tmp_path: Path, run: Run
) -> None:
    labels = folder(tmp_path / "my_data", write, ndim, dtype)
    done = run("check", tmp_path / "my_data", "--json")
    report = json.loads(done.out)
    assert done.code == 0, report
    assert report["inventory"]["train"]["objects"] == labels.max()
    assert {found["problem"] for found in report["findings"]} <= {
        "float mask",
        "image occurs twice",
    }
    mask = read_labels(tmp_path / "my_data/train/masks/a.tif", "ZYX"[-ndim:])
    np.testing.assert_array_equal(mask.data, labels)


@pytest.mark.parametrize("ndim", [2, 3])
def test_of_a_bitmap_the_pieces_are_to_be_numbered(ndim: int, tmp_path: Path, run: Run) -> None:
    """As the page says: what `check` finds, and the code that puts it right."""
    labels = folder(tmp_path / "my_data", imagej, ndim, "uint8", bitmap=True)
    found = {
        finding["problem"]
        for finding in json.loads(run("check", tmp_path / "my_data", "--json").out)["findings"]
    }
    assert found & {"semantic mask", "labels in several pieces"}
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    for mask in (tmp_path / "my_data").glob("*/masks/a.tif"):
        here = (
            textwrap.dedent(code)
            .replace('"bitmap.tif"', repr(str(mask)))
            .replace('"mask.tif"', repr(str(mask)))
        )
        exec(compile(here, str(PAGE), "exec"), {})
        numbered = read_labels(mask).data
        np.testing.assert_array_equal(numbered > 0, labels > 0)
        assert numbered.max() > 1
    assert run("check", tmp_path / "my_data").code == 0


def qupath() -> dict[str, Any]:
    """Return rectangles of objects as QuPath writes them: annotations, and cells with nuclei."""

    def ring(y0: float, x0: float, y1: float, x1: float) -> list[list[float]]:
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]

    nucleus = {"type": "Polygon", "coordinates": [ring(32, 12, 36, 16)]}
    features = [
        {
            "type": "Feature",
            "id": "3f2f0e5c-43f6-4b2d-8d3c-d0fb4f6d8f1f",
            "geometry": {
                "type": "Polygon",
                "coordinates": [ring(5, 5, 15, 25), ring(8, 8, 12, 12)],
            },
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "Tumor", "color": [200, 0, 0]},
            },
        },
        {
            "type": "Feature",
            "id": "1b0ac8c6-36df-40f7-9f7a-5ed1b8d1e3a4",
            "geometry": {"type": "Polygon", "coordinates": [ring(30.0, 10.0, 40.0, 20.0)]},
            "nucleusGeometry": nucleus,
            "properties": {
                "objectType": "cell",
                "isLocked": True,
                "measurements": {"Cell: Area": 100.0},
            },
        },
        {
            "type": "Feature",
            "id": "PathAnnotationObject",
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [[ring(45, 40, 50, 50)], [ring(52, 40, 58, 50)]],
            },
            "properties": {"objectType": "annotation", "name": "a cell in two pieces"},
        },
    ]
    return {"type": "FeatureCollection", "features": features}


def test_annotations_of_qupath_become_masks(tmp_path: Path, run: Run) -> None:
    labels = folder(tmp_path / "my_data", imagej, 2, "uint8")
    image = tmp_path / "my_data/train/images/a.tif"
    (tmp_path / "cells.geojson").write_text(json.dumps(qupath(), indent=2))
    done = run("convert", tmp_path / "cells.geojson", "-o", tmp_path / "masks.tif", "--like", image)
    assert done.code == 0, done.err
    assert "3 objects" in done.out
    expected = np.zeros(labels.shape, np.int32)
    expected[5:15, 5:25], expected[8:12, 8:12] = 1, 0
    expected[30:40, 10:20] = 2
    expected[45:50, 40:50] = expected[52:58, 40:50] = 3
    found = read_labels(tmp_path / "masks.tif")
    np.testing.assert_array_equal(found.data, expected)
    assert found.spacing == (0.5, 0.5)
    for split in ("train", "val"):
        (tmp_path / "my_data" / split / "masks/a.tif").write_bytes(
            (tmp_path / "masks.tif").read_bytes()
        )
    assert run("check", tmp_path / "my_data").code == 0

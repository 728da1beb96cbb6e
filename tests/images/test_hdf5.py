"""HDF5 datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from embedseg.images import expand_inputs, read_image, stem
from embedseg.types import DataError
from image_files import VOLUME


@pytest.mark.parametrize(
    "attributes, axes",
    [
        ({"axes": "ZYX"}, "ZYX"),
        ({"axes": ["t", "y", "x"]}, "TYX"),
        ({"axistags": '{"axes": [{"key": "z"}, {"key": "y"}, {"key": "x"}]}'}, "ZYX"),
    ],
)
def test_hdf5(tmp_path: Path, attributes: dict[str, Any], axes: str) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/raw"] = VOLUME[:, 0]
        file["list"] = [1, 2]
        file["group/raw"].attrs.update({**attributes, "element_size_um": [2, 0.5, 0.25]})
    image = read_image(path)
    assert image.axes == axes
    assert image.spacing == ((2, 0.5, 0.25) if axes == "ZYX" else (0.5, 0.25))
    np.testing.assert_array_equal(image.data, VOLUME[:, 0])


def test_hdf5_needs_its_axes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = VOLUME[:, 0]
    with pytest.raises(DataError, match="--axes"):
        read_image(tmp_path / "a.h5")
    assert read_image(tmp_path / "a.h5", "ZYX").axes == "ZYX"
    with h5py.File(tmp_path / "a.h5", "a") as file:
        # A size for each axis of space says which they are.
        file["raw"].attrs["element_size_um"] = [2, 0.5, 0.25]
    assert read_image(tmp_path / "a.h5").axes == "ZYX"
    assert read_image(tmp_path / "a.h5").spacing == (2, 0.5, 0.25)


def test_hdf5_with_several_datasets(tmp_path: Path) -> None:
    path, volume = tmp_path / "a.h5", VOLUME[:, 0]
    with h5py.File(path, "w") as file:
        file["raw"], file["more/label"] = volume, volume + 1
    np.testing.assert_array_equal(read_image(path, "ZYX").data, volume)
    named = read_image(path / "more" / "label", "ZYX")
    np.testing.assert_array_equal(named.data, volume + 1)
    assert stem(path / "more" / "label") == "a"
    assert expand_inputs([f"{path}/more/label"]) == [path / "more" / "label"]
    with pytest.raises(DataError, match="expected a dataset 'no', found more/label, raw"):
        read_image(path / "no", "ZYX")
    with h5py.File(path, "a") as file:
        file["volume"] = file.pop("raw")[()]
    with pytest.raises(DataError, match=r"one dataset.*found more/label, volume; a\.h5/NAME names"):
        read_image(path, "ZYX")

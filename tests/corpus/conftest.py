"""A model and data that the cases share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpus.models import write_package
from corpus.tiffs import LABELS, VOLUME, tiff

from commands import TINY
from embedseg.cli import main
from embedseg.images import write_blobs


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Paths by the names that stand for them in command lines."""
    folder = tmp_path_factory.mktemp("shared")
    places = {name: folder / name.lower() for name in ("MODEL", "DATA")}
    write_blobs(
        places["DATA"], ndim=2, splits={"train": 2, "val": 1, "test": 1}, shape=(32, 32), n=3
    )
    places["VOLUME"] = folder / "volume.tif"
    tiff(VOLUME, metadata={"axes": "ZYX"})(places["VOLUME"])
    places["LARGE"] = folder / "large.zarr"
    fill_store(places["LARGE"])
    line = ["train", places["DATA"], "-o", places["MODEL"], "--epochs", 1, "--no-tune", *TINY]
    with pytest.raises(SystemExit) as exit:
        main(list(map(str, line)))
    assert not exit.value.code
    places["FOUND"] = folder / "found"
    shutil.copytree(places["MODEL"], places["FOUND"])
    find_more(places["FOUND"] / "config.json")
    places["PACKAGE"] = folder / "package.zip"
    write_package(places["MODEL"], places["PACKAGE"])
    return places


def fill_store(path: Path) -> None:
    """Write an OME-Zarr image of 9 chunks."""
    import zarr

    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("0", shape=(144, 144), chunks=(48, 48), dtype=np.uint16)
    array[...] = np.tile(LABELS, (5, 5))[:144, :144] * 40
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}


def find_more(config: Path) -> None:
    """Lower the thresholds of a model that has hardly been trained."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["method"] |= {"fg_threshold": 0.05, "seed_threshold": 0.05, "min_object_size": 1}
    config.write_text(json.dumps(settings), encoding="utf-8")

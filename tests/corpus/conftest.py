"""A model and data that the cases share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from corpus.models import write_package
from corpus.tiffs import LABELS, VOLUME, tiff
from stores import write_store

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
    large = np.tile(LABELS, (5, 5))[:144, :144] * 40
    write_store(places["LARGE"], large, "YX", "0.5", {"Y": 0.5, "X": 0.5}, levels=1)
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


def find_more(config: Path) -> None:
    """Lower the thresholds of a model that has hardly been trained."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["method"] |= {"fg_threshold": 0.05, "seed_threshold": 0.05, "min_object_size": 1}
    config.write_text(json.dumps(settings), encoding="utf-8")

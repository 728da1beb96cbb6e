"""A data folder and a model that the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import TINY
from embedseg.cli import main
from embedseg.images import write_blobs


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "blobs"
    write_blobs(folder, ndim=2)
    return folder


@pytest.fixture(scope="session")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hardly trained: what it finds is of no interest here."""
    folder = tmp_path_factory.mktemp("model") / "model"
    with pytest.raises(SystemExit) as exit:
        main(["train", str(data), "-o", str(folder), "--epochs", "2", "--no-tune", *TINY])
    assert not exit.value.code
    return folder

"""Many images in one process take no more memory and files than a few."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory and files are read from /proc"),
]
#: Images, and those after which memory is measured first.
IMAGES, WARM = 400, 50


def used() -> tuple[int, int]:
    """Return the resident pages of this process, and its open files."""
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident, len(os.listdir("/proc/self/fd"))


def test_soak(shared: dict[str, Path], tmp_path: Path) -> None:
    source = next((shared["DATA"] / "train/images").iterdir())
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    for number in range(IMAGES):
        shutil.copy(source, images / f"{number}.tif")
    from embedseg.cli import main

    def predict(first: int, last: int) -> None:
        chosen = [str(images / f"{number}.tif") for number in range(first, last)]
        line = ["predict", str(shared["MODEL"]), *chosen, "-o", str(labels), "--device", "cpu"]
        with pytest.raises(SystemExit) as exit:
            main([*line, "--also", "csv,roi"])
        assert not exit.value.code

    predict(0, WARM)
    resident, files = used()
    predict(WARM, IMAGES)
    later, still = used()
    assert len(list(labels.glob("*.tif"))) == IMAGES
    assert later < 1.1 * resident and still <= files + 2, (resident, later, files, still)

"""Commands on a full disk: the error names the file, and what is there is whole."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpus.case import arguments, at_work, check_readable, snapshot
from corpus.processes import start
from corpus.test_killed import KILLED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="small disks are those of Linux"),
]
#: Bytes that a file takes on a disk are a multiple of this.
PAGE = 4096


def pages(folder: Path) -> int:
    """Return the pages that the files of a folder take."""
    return sum(
        math.ceil(path.stat().st_size / PAGE) for path in folder.rglob("*") if path.is_file()
    )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for a small disk, which the test mounts there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", folder], check=False, capture_output=True)


@pytest.mark.parametrize("line", KILLED, ids=lambda line: " ".join(line.split()[:5:2]))
def test_full_disk(line: str, shared: dict[str, Path], tmp_path: Path, disk: Path) -> None:
    log, out = tmp_path / "log.txt", tmp_path / "out"
    shutil.copytree(shared["MODEL"], out / "copy")
    begun = pages(out)
    process = start(arguments(line, {**shared, "OUT": out}), tmp_path / "first.txt")
    process.join()
    assert process.exitcode == 0, (tmp_path / "first.txt").read_text()
    # Room for what is there, and half of what is written.
    size = PAGE * (begun + (pages(out) - begun) // 2)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={max(size, PAGE)}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    shutil.copytree(shared["MODEL"], disk / "copy")
    before = snapshot(disk)
    process = start(arguments(line, {**shared, "OUT": disk}), log)
    process.join(120)
    text = log.read_text()
    assert process.exitcode == 1 and "no space left" in text and str(disk) in text, text
    assert "Traceback" not in text and "not foreseen" not in text, text
    assert not at_work(disk), at_work(disk)
    check_readable(disk)
    assert before.items() <= snapshot(disk).items()

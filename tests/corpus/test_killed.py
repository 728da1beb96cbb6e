"""Commands killed at any moment: each output is whole or absent, and the next run succeeds."""

from __future__ import annotations

import shutil
import sys
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from corpus.case import arguments, at_work, check_readable, snapshot
from corpus.processes import kill, start

from commands import TINY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are forked"),
]
#: Moments at which each command is killed, spread over the time that it takes.
MOMENTS = 20
#: Command lines to kill, and what is added to run them again.
KILLED = {
    f"train DATA -o OUT/model --epochs 2 {' '.join(TINY)}": "--resume",
    "tune OUT/copy DATA --device cpu": "",
    "predict MODEL DATA/train/images -o OUT/labels --also csv,roi --device cpu": "--overwrite",
    "predict MODEL LARGE -o OUT/labels.zarr --block 48,48 --device cpu": "",
    "predict MODEL LARGE -o OUT/large.tif --block 48,48 --device cpu": "",
    "evaluate MODEL DATA --csv OUT/a.csv --plot OUT/a.png --report OUT/a.html --device cpu": (
        "--overwrite"
    ),
    "ensemble MODEL,OUT/copy -o OUT/both": "--overwrite",
    "convert VOLUME -o OUT/a.zip": "--overwrite",
    "convert VOLUME -o OUT/a.zarr": "--overwrite",
    "convert VOLUME -o OUT/a.tif": "--overwrite",
    "mesh VOLUME -o OUT/a.stl --preview OUT/a.png": "--overwrite",
    "stack VOLUME -o OUT/stack --model FOUND --device cpu": "--overwrite",
    "export MODEL -o OUT/a.onnx": "--overwrite",
    "import PACKAGE -o OUT/model": "--overwrite",
    "plan DATA -o OUT/a.json --plot OUT/a.png --device cpu": "--overwrite",
}


def inputs(shared: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Return the contents of shared folders, but for the halo that a model keeps."""
    return {
        name: {file: held for file, held in snapshot(path).items() if file != "halo.json"}
        for name, path in shared.items()
        if path.is_dir()
    }


@pytest.mark.parametrize("line", KILLED, ids=lambda line: " ".join(line.split()[:5:2]))
def test_killed_at_any_moment(line: str, shared: dict[str, Path], tmp_path: Path) -> None:
    before = inputs(shared)
    log = tmp_path / "log.txt"

    def begin(name: str, more: str = "") -> ForkServerProcess:
        out = tmp_path / name
        if not out.exists():
            out.mkdir()
            shutil.copytree(shared["MODEL"], out / "copy")
        return start(arguments(f"{line} {more}", {**shared, "OUT": out}), log)

    for name in ("first", "timed"):
        began, process = time.perf_counter(), begin(name)
        process.join()
        assert process.exitcode == 0, log.read_text()
    taken, whole = time.perf_counter() - began, {*snapshot(tmp_path / "timed")}
    # A training that has ended draws no validation images when it is resumed.
    whole -= {"model/preview.png"}
    killed = 0
    for moment in range(MOMENTS):
        out, process = tmp_path / f"killed{moment}", begin(f"killed{moment}")
        process.join(taken * (moment + 0.5) / MOMENTS)
        killed += kill(process)
        check_readable(out)
        again = begin(out.name, KILLED[line])
        again.join(120)
        # Killed when all was written, it is refused: that is there already.
        done = not KILLED[line] and whole <= {*snapshot(out)}
        told = (moment, {*snapshot(out)}, log.read_text()[-2000:])
        assert again.exitcode == 0 or (again.exitcode == 2 and done), told
        assert not at_work(out), (moment, at_work(out))
        check_readable(out)
        assert whole <= {*snapshot(out)}, (moment, whole - {*snapshot(out)})
        shutil.rmtree(out)
    assert killed >= MOMENTS / 2
    assert inputs(shared) == before

"""What commands import: nothing heavy before they need it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from embedseg.images import read_image

#: Prints the exit code of a command, and which of some modules it imported.
PROGRAM = """
import contextlib, gc, io, sys
from embedseg.cli import main
heavy, *args = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main(args)
    except SystemExit as exit:
        code = exit.code or 0
print(code, *[name for name in heavy.split(",") if name in sys.modules])
print("full collections:", gc.get_stats()[2]["collections"], file=sys.stderr)
"""

#: Runs a command; what is registered first runs last.
ENDS = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 10_000))
from embedseg.cli import main
main(["--version"])
"""


def imported(heavy: str, *args: object) -> list[str]:
    """Exit code of a command in its own process, and which of the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, heavy, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout, done.stderr
    *_, collections = done.stderr.split()
    # Imports make nothing but objects that stay; without the rule there would be five.
    assert int(collections) <= 1
    return done.stdout.split()


def test_objects_are_not_looked_through_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "True"


@pytest.mark.parametrize("more", [[], ["--all"], ["--json"]])
def test_info_reads_text_and_the_head_of_the_weights(model: Path, more: list[str]) -> None:
    assert imported("torch,numba,lightning_fabric,matplotlib,scipy", "info", model, *more) == ["0"]


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "MODEL", "none.tif", "-o", "OUT"],
        ["predict", "MODEL", "none*.tif", "-o", "OUT"],
        ["predict", "MODEL", "none.zarr", "-o", "OUT.zarr"],
        ["predict", "EMPTY", "DATA/test/images", "-o", "OUT"],
        ["predict", "none", "DATA/test/images", "-o", "OUT"],
        ["info", "EMPTY"],
        ["tune", "EMPTY", "DATA"],
        ["evaluate", "EMPTY", "DATA"],
        ["export", "EMPTY", "-o", "OUT.zip"],
        ["ensemble", "MODEL,EMPTY", "-o", "OUT"],
        ["stack", "none", "-o", "OUT", "--model", "MODEL"],
        ["train", "DATA", "-o", "OUT", "--from", "EMPTY"],
        ["convert", "none.tif", "-o", "OUT.csv"],
        ["convert", "DATA/README.md", "-o", "OUT.tif", "--like", "none.tif"],
        ["import", "none.zip", "-o", "OUT"],
    ],
    ids=" ".join,
)
def test_a_wrong_path_is_noticed_first(
    model: Path, data: Path, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "EMPTY").mkdir()
    places = {"MODEL": model, "DATA": data, "EMPTY": tmp_path / "EMPTY", "OUT": tmp_path / "o"}
    args = []
    for arg in command:
        for name, path in places.items():
            arg = arg.replace(name, str(path))
        args.append(arg)
    code, *heavy = imported("torch,numpy,tifffile", *args)
    assert (code in "12", heavy) == (True, [])
    assert [path.name for path in tmp_path.iterdir()] == ["EMPTY"]


@pytest.mark.parametrize("command", ["train DATA -o OUT", "tune MODEL DATA", "evaluate MODEL DATA"])
def test_a_folder_without_data_is_noticed_before_torch(
    model: Path, tmp_path: Path, command: str
) -> None:
    args = [
        {"DATA": tmp_path, "MODEL": model, "OUT": tmp_path / "o"}.get(arg, arg)
        for arg in command.split()
    ]
    assert imported("torch,lightning_fabric", *args) == ["1"]


def test_prediction_imports_no_compiler_and_nothing_of_training(
    model: Path, data: Path, tmp_path: Path
) -> None:
    # Large enough that the memory of a tile is measured.
    pixels = read_image(next((data / "test/images").iterdir())).data
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, np.tile(pixels, (6, 6)))
    heavy = (
        "torch,torch._dynamo,lightning_fabric,matplotlib,dask,scipy.special,"
        "scipy.optimize,scipy.sparse,scipy.ndimage,"
        "embedseg.tracking.costs"
    )
    assert imported(heavy, "predict", model, image, "-o", tmp_path / "o") == ["0", "torch"]

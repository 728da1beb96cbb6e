"""What the README, the pages and the examples tell people to type is typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from stores import write_plate

from documented import PAGES, README, ROOT, blocks, commands, shortened
from embedseg.cli import main
from embedseg.images import blobs, cell_film, read_image, read_labels, write_blobs
from embedseg.images.multiscales import read_array_layout

#: What a command is not typed for, and why.
NOT_HERE = {
    "demo": "test_packaging.py types it",
    "cuda": "needs a GPU",
    "--devices": "needs several",
    "$": "needs a scheduler",
    "--install-completion": "changes the shell; see test_help.py",
}
#: Python that is not run, and why.
ELSEWHERE = {"how-to/cluster.md": "needs a cluster", "how-to/masks.md": "test_drawn_elsewhere.py"}
#: Little, so that a training takes seconds.
SPLITS, SHAPES = {"train": 2, "val": 2, "test": 1}, {2: (64, 64), 3: (8, 32, 32)}
TYPED = [
    README,
    *(
        path
        for path in sorted(PAGES.rglob("*.md"))
        if any(
            block.language in ("bash", "") and list(commands(block.code)) for block in blocks(path)
        )
    ),
]


def script(code: str | Path, cwd: Path) -> str:
    """Run Python in a process of its own."""
    env = os.environ | {"EMBEDSEG_FAST": "1", "PYTHONPATH": str(ROOT)}
    if isinstance(code, str):
        (cwd / "typed.py").write_text(code)
        code = cwd / "typed.py"
    done = subprocess.run([sys.executable, code], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- the files that pages speak of -----------------------------------------------------------------
@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with everything that pages take to be there, small."""
    folder = tmp_path_factory.mktemp("typed")
    for name, ndim in (("my_data", 2), ("more_data", 2), ("my_volumes", 3)):
        write_blobs(folder / name, ndim=ndim, splits=SPLITS, shape=SHAPES[ndim], n=5)
    em_data(folder / "em_data")
    for name, source in (
        ("new_images/c.tif", "my_data"),
        ("new_images/d.tif", "more_data"),
        ("new_volumes/v.tif", "my_volumes"),
        ("new_slices/s.tif", "em_data"),
        ("image.tif", "my_data"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / source / "test/images/test0.tif", folder / name)
    shutil.copy(folder / "my_data/test/masks/test0.tif", folder / "labels.tif")
    big, boxed = blobs((40, 110, 110), n=20, seed=3)
    tifffile.imwrite(folder / "volume.tif", big, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(
        folder / "box.tif",
        boxed[10:30, 40:104, 40:104].astype(np.uint16),
        imagej=True,
        metadata={"axes": "ZYX"},
    )
    stored = zarr.create_array(
        folder / "brain.zarr",
        shape=SHAPES[2],
        chunks=(32, 32),
        dtype="uint8",
        dimension_names=("y", "x"),
    )
    stored[:] = read_image(folder / "image.tif").data
    assert read_array_layout(stored).axes == "YX"
    shutil.copytree(folder / "brain.zarr", folder / "cortex.zarr")
    film, found = cell_film((48, 48), frames=4, n=6)[:2]
    for name, frames in (("film.tif", film), ("film_labels.tif", found.astype(np.uint16))):
        tifffile.imwrite(folder / name, frames, imagej=True, metadata={"axes": "TYX"})
    stain(folder)
    write_plate(folder / "plate.zarr", {"A/1/0": read_image(folder / "image.tif").data}, scale=1.0)
    for name in ("cells.geojson", "RoiSet.zip", "annotations.json"):
        typed(["convert", str(folder / "labels.tif"), "-o", str(folder / name)])
    for name, options in (("nuclei", ()), ("net_2d", ("--seed", "1")), ("net_3d", ("--seed", "2"))):
        typed(shortened(["train", str(folder / "my_data"), "-o", str(folder / name), *options]))
    return folder


def stain(folder: Path) -> None:
    """Write a data folder and new images of two channels, GFP and DAPI."""
    shutil.copytree(folder / "my_data", folder / "stained")
    for name in ("new_stained", "old_stained"):
        (folder / name).mkdir()
        shutil.copy(folder / "image.tif", folder / name / "c.tif")
    for path in (*folder.glob("stained/*/images/*.tif"), *folder.glob("*_stained/*.tif")):
        image = read_image(path)
        stained = np.stack([image.data[::-1], image.data])
        named = {} if path.parent.name == "old_stained" else {"Channel": {"Name": ["GFP", "DAPI"]}}
        tifffile.imwrite(path, stained, ome=True, metadata={"axes": "CYX", **named})


def em_data(folder: Path) -> None:
    """Write masks of classes: 0 cell, 1 membrane, 2 mitochondria."""
    write_blobs(folder, ndim=2, splits=SPLITS, shape=SHAPES[2], n=8)
    for path in folder.glob("*/masks/*.tif"):
        labels = read_labels(path).data
        tifffile.imwrite(path, (labels > 0).astype(np.uint8) + (labels > 5))


def typed(args: list[str]) -> None:
    """Run a command in this process; it has to succeed."""
    with pytest.raises(SystemExit) as exit:
        main(args)
    assert not exit.value.code, " ".join(args)


@pytest.fixture
def there(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a copy of that folder."""
    shutil.copytree(files, tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    return tmp_path / "there"


def to_type(path: Path) -> Iterator[list[str]]:
    """Yield the commands of a page's blocks, in order, for seconds."""
    for block in blocks(path):
        if block.language in ("bash", ""):
            for args in commands(block.code):
                if not any(word in " ".join(args) for word in NOT_HERE):
                    yield shortened(args)


def made_by(args: list[str]) -> Path | None:
    """Return what a command refuses to replace, if it is there: the page makes it anew."""
    if args[0] in ("predict", "evaluate") or "-o" not in args:
        return None
    return Path(args[args.index("-o") + 1])


@pytest.mark.slow
@pytest.mark.parametrize("path", TYPED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_of_a_page_run(path: Path, there: Path) -> None:
    ran = 0
    for args in to_type(path):
        made = made_by(args)
        if made and made.is_dir():
            shutil.rmtree(made)
        elif made and made.exists():
            made.unlink()
        typed(args)
        assert made is None or made.exists(), args
        if args[0] == "predict" and (found := Path(args[args.index("-o") + 1]) / "c.tif").exists():
            # After so short a training there may be no object to go on with.
            shutil.copy("labels.tif", found)
        ran += 1
    assert ran or path.name == "gpu.md"
    if path == README:
        assert {file.suffix for file in Path("found").glob("c.*")} == {".tif", ".zip", ".csv"}
        np.testing.assert_array_equal(read_labels("masks.tif").data, read_labels("labels.tif").data)


def test_pages_with_commands_are_typed() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in TYPED}
    pages = {f"examples/docs/pages/{page}.md" for page in ("own-data", "how-to/methods")}
    assert {"README.md"} | pages <= names
    assert sum(len(list(to_type(path))) for path in TYPED) > 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        path
        for path in [README, *sorted(PAGES.rglob("*.md"))]
        if any(block.language == "python" for block in blocks(path))
        and not any(str(path).endswith(name) for name in ELSEWHERE)
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_python_of_a_page_runs(path: Path, there: Path) -> None:
    if "nuclei" in path.read_text().split("load(")[0].split("```python")[-1]:
        shutil.rmtree("nuclei")  # it is trained anew
    for block in blocks(path):
        if block.language == "python":
            out = script(block.code.replace('"15m"', '"6s"'), there)
            if path == README:
                assert "'0.50': 1.0" in out  # it compares labels with themselves


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    assert "objects:" in script(path, tmp_path)
    assert (tmp_path / "example-overlay.png").stat().st_size > 1000

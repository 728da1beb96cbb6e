"""What the README and the examples tell people to type is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedseg.io import read_labels
from embedseg.synthetic import write_blobs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def run(*command: str | Path, cwd: Path) -> str:
    env = os.environ | {"EMBEDSEG_FAST": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Folder with the `my_data` and `new_images` that the README speaks of."""
    write_blobs(tmp_path / "my_data", ndim=2)
    (tmp_path / "new_images").mkdir()
    source = sorted((tmp_path / "my_data/test/images").iterdir())[0]
    (tmp_path / "new_images" / "c.tif").write_bytes(source.read_bytes())
    return tmp_path


@pytest.mark.slow
def test_python_of_the_readme_runs(own_data: Path) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", README, flags=re.DOTALL)
    out = run(sys.executable, "-c", code.replace('"15m"', '"8s"'), cwd=own_data)
    assert "'0.50': 1.0" in out  # it compares labels with themselves
    assert (own_data / "nuclei" / "weights.safetensors").is_file()


@pytest.mark.slow
def test_commands_of_the_readme_run(own_data: Path) -> None:
    (block,) = re.findall(r"```\n(embedseg train .+?)```", README, flags=re.DOTALL)
    commands = block.replace("15m", "8s").strip().splitlines()
    assert [command.split()[1] for command in commands] == ["train", "evaluate", "predict"]
    for command in commands:
        run(sys.executable, "-m", "embedseg.cli", *command.split()[1:], cwd=own_data)
    assert (own_data / "labels" / "c.tif").is_file()
    (block,) = re.findall(r"```\n(embedseg predict .+?)```", README, flags=re.DOTALL)
    predict, *converts = block.strip().splitlines()
    run(sys.executable, "-m", "embedseg.cli", *predict.split()[1:], cwd=own_data)
    assert {path.suffix for path in (own_data / "found").glob("c.*")} == {".tif", ".zip", ".csv"}
    # After so short a training there may be no object to convert.
    truth = sorted((own_data / "my_data/test/masks").iterdir())[0]
    (own_data / "found/c.tif").write_bytes(truth.read_bytes())
    for command in converts:
        run(sys.executable, "-m", "embedseg.cli", *command.split()[1:], cwd=own_data)
    np.testing.assert_array_equal(read_labels(own_data / "masks.tif").data,
                                  read_labels(truth).data)


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(script: Path, tmp_path: Path) -> None:
    assert "objects:" in run(sys.executable, script, cwd=tmp_path)
    assert (tmp_path / "example-overlay.png").stat().st_size > 1000

"""Benchmarks that need a GPU: the scripts themselves run anywhere, in small."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

HOME = Path(__file__).parents[1]


def started(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tests/benchmarks/gpu.py", *options]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_all_parts_of_the_table_of_a_gpu_run_in_small() -> None:
    done = started("--tiny", "--older", str(HOME), "--data", "data/nuclei")
    assert done.returncode == 0, done.stderr
    table = [line.split("|") for line in done.stdout.splitlines() if line.startswith("|")]
    rows = {cells[1].strip(): cells[2:-1] for cells in table[2:]}
    assert len(rows) == 8 and all(len(cells) == 3 for cells in rows.values())
    assert all(float(cells[1]) >= 0 for cells in rows.values())
    assert float(rows["steps in 5 s"][1]) >= 1


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    done = started()
    assert done.returncode == 1 and "torch finds none" in done.stderr
    older = started("--tiny", "--older", "/nowhere")
    assert older.returncode == 1 and "no checkout of the package" in older.stderr

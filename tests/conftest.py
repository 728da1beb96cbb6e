"""What every test stands on: few threads, fixed seeds, a device."""

from __future__ import annotations

import os
from collections.abc import Iterator

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
THREADS = max(1, (os.cpu_count() or 1) // WORKERS)
# Before torch and numba are imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
# dask sets this one for a while; without a value to go back to, numba would find another number.
os.environ.setdefault("NUMBA_NUM_THREADS", str(THREADS))
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

from commands import Result, Run  # noqa: E402
from embedseg.cli import main  # noqa: E402

torch.set_num_threads(THREADS)
#: Numba refuses to work once this has changed.
NUMBA_THREADS = os.environ["NUMBA_NUM_THREADS"]


# No deadline: the first call of a numba function compiles. Derandomised: CI repeats itself.
settings.register_profile("embedseg", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("embedseg")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="torch device of the `device` fixture")


def pytest_runtest_setup(item: pytest.Item) -> None:
    # Whatever a test before has done to it.
    os.environ["NUMBA_NUM_THREADS"] = NUMBA_THREADS
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs CUDA")


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """Device that tests run nets on: --device, cpu by default."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*args: object) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        code = exit.value.code or 0
        assert isinstance(code, int)
        return Result(code, out, err)

    return run


@pytest.fixture(autouse=True)
def _seeds() -> Iterator[None]:
    """Fix the global generators; code under test should use its own."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    yield
    np.random.set_state(state)  # noqa: NPY002

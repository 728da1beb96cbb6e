"""Commands in processes that start at once, with all libraries loaded, and may be killed."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import re
import signal
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess

import embedseg

#: What takes seconds to import: libraries, and all of the package.
LIBRARIES = (
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "numba",
    "onnxscript",
    "roifile",
    "scipy.optimize",
    "skimage.measure",
    "torch.export",
    "torch.onnx",
    "torch.utils.tensorboard",
    "zarr",
)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *LIBRARIES,
        *(
            found.name
            for found in pkgutil.walk_packages(embedseg.__path__, "embedseg.")
            if not re.search("napari|__main__", found.name)
        ),
    ]
)


def run_line(line: list[str], log: str) -> None:
    """Run a command in a group of processes, with what it prints in a file."""
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    from embedseg.cli import main

    main(line)


def start(line: list[str], log: object) -> ForkServerProcess:
    """Start a command."""
    process = CONTEXT.Process(target=run_line, args=(line, str(log)))
    process.start()
    return process


def kill(process: BaseProcess) -> bool:
    """Kill a process and those that it started; return whether it still ran."""
    assert process.pid
    ran = process.is_alive()
    for end in (os.killpg, os.kill):
        try:
            end(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        break
    process.join()
    return ran

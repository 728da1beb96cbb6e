"""Commands in processes that start at once, with all libraries loaded, and may be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess

#: What takes seconds to import.
PRELOADED = [
    "torch",
    "matplotlib.pyplot",
    "zarr",
    "embedseg.cli",
    "embedseg.segmenter",
    "embedseg.blockwise",
    "embedseg.export",
    "embedseg.report",
    "embedseg.zoo",
]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


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

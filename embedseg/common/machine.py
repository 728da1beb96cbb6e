"""Memory of the machine."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory() -> int:
    """Return the bytes that this process can still take.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    return min([_free_of_machine(), *_free_of_groups()])


def total_memory() -> int:
    """Return the bytes that the machine, or the control groups of this process, have in all.

    Examples
    --------
    >>> total_memory() >= free_memory() > 0
    True
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return 2**63
    return min([machine, *_limits_of_groups()])


def _limits_of_groups() -> list[int]:
    limits = []
    for folder in _groups():
        try:
            limits.append(int((folder / "memory.max").read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return limits


def _groups() -> set[Path]:
    """Return the folders of the control groups of this process."""
    try:
        entry = Path("/proc/self/cgroup").read_text().splitlines()[-1].partition("::")[2]
    except (OSError, IndexError):
        return set()
    return {Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup") / entry.lstrip("/")}


def _free_of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        pass
    try:  # macOS reports only the total
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):  # Windows
        return 4 * 2**30


def _free_of_groups() -> list[int]:
    """Return what the control groups of this process leave: containers, batch systems."""
    free = []
    for folder in _groups():
        try:
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        free.append(max(0, limit - used + int(stat.get("inactive_file", 0))))
    return free

"""Output for people and scripts: messages, JSON, the log, errors."""

from __future__ import annotations

import json
import logging
import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from embedseg.data import DataOptions


def say(text: str = "") -> None:
    """Print a message on stderr: stdout is for results."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print the one object that stdout holds; NaN and infinite values become null."""
    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def show_result(values: dict[str, Any], message: str, json: bool) -> None:
    """Print the result of a command: one JSON object for scripts, or a message for people."""
    if json:
        print_json(values)
    else:
        typer.echo(message)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def at_terminal() -> bool:
    """Return whether stderr is a terminal: a progress bar only litters a log file."""
    return sys.stderr.isatty()


def command_line(context: typer.Context) -> str:
    """Return the command as it was typed, for a report."""
    return shlex.join(["embedseg", *(context.obj or ())])


class _Handler(logging.Handler):
    """A log handler that writes to stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)


def log_to_stderr() -> None:
    """Show the package's log on stderr, once."""
    log = logging.getLogger("embedseg")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, _Handler) for handler in log.handlers):
        log.addHandler(_Handler())


# -- errors ----------------------------------------------------------------------------------------
def explain_error(error: Exception) -> int:
    """Print an error, ending with a line "error: ...", and return the exit code.

    The first line of an error is its message, the lines after it are findings.
    """
    from pydantic import ValidationError

    from embedseg.common import FULL
    from embedseg.types import DataError, UsageError

    if isinstance(error, ValidationError):
        *above, last = validation_lines(error)
        code = 2
    else:
        last, *above = str(error).splitlines() or [type(error).__name__]
        if isinstance(error, OSError) and error.errno in FULL:
            last, above = f"no space left: {error.filename or error.strerror}", []
        code = 2 if isinstance(error, UsageError) else 1
        if not isinstance(error, DataError | UsageError | OSError):
            last = f"{type(error).__name__}: {last} (not foreseen; --debug shows where)"
    for line in above:
        say(line)
    say(f"error: {last}")
    return code


def validation_lines(error: Any) -> list[str]:
    """Return one line per problem of a pydantic ValidationError."""
    return [
        f"{'.'.join(str(part) for part in problem['loc']) or error.title}: {problem['msg']}, "
        f"not {problem['input']!r}"[:300]
        for problem in error.errors()
    ]


@contextmanager
def findings_first(
    data: Path, options: DataOptions, method: str, split: str | None = None
) -> Iterator[None]:
    """On bad data, list everything that is wrong with the folder, or a split, above the error."""
    from embedseg.types import DataError

    try:
        yield
    except DataError:
        from embedseg.data import check_folder
        from embedseg.methods import METHODS

        report = check_folder(data, reads=METHODS[method].reads, options=options)
        errors = tuple(
            finding
            for finding in report.findings
            if finding.severity == "error" and (not split or split in Path(finding.file).parts)
        )
        for line in replace(report, findings=errors, inventory={}).lines():
            say(line)
        raise

"""The command line. What is heavy is imported inside the commands, so `--help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# Imported for their commands.
from embedseg.cli import (  # noqa: F401
    converting,
    judging,
    sharing,
    surfaces,
    training,
    using,
    versus,
)
from embedseg.cli.helping import place
from embedseg.cli.shared import app, explain_error, log_to_stderr

app.registered_commands.sort(
    key=lambda each: place(str(each.name or getattr(each.callback, "__name__", "")))
)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 is success, 1 bad data, 2 bad usage.

    Parameters
    ----------
    args : sequence of str, optional
        Default: those of the process.

    Examples
    --------
    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    args = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in args or os.environ.get("EMBEDSEG_DEBUG", "0") not in ("", "0")
    log_to_stderr()
    try:
        # Taken out here, so that it may stand behind the command too.
        app([arg for arg in args if arg != "--debug"], prog_name="embedseg", obj=tuple(args))
    except Exception as error:
        if debug:
            raise
        sys.exit(explain_error(error))

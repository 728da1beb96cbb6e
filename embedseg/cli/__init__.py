"""The command line: one file per command, named after it.

::

    app.py              The typer app: its own options, and the decorator of its commands
    beside.py           Objects and tracks written beside labels
    benchmark.py        The command benchmark: methods and nets compared at equal time
    check.py            The command check: what a data folder holds, and its problems
    collecting.py       Garbage collection put off while libraries are imported
    console.py          Output for people and scripts: messages, JSON, the log, errors
    convert.py          The command convert: labels for other programs, and back
    demo.py             The command demo: training and prediction on the sample images
    ensemble.py         The command ensemble: several models joined into one
    evaluate.py         The command evaluate: scores of a model on a split of a data folder
    export.py           The command export: a model for other programs
    help.py             Help in groups of options, and completion in a shell
    import_.py          The command import: a model from a package of the BioImage Model Zoo
    info.py             The command info: a model's method, net, training and settings
    inputs.py           Inputs of all commands, checked before anything heavy is imported
    mesh.py             The command mesh: surfaces of labels
    numbers.py          Numbers in the text of options, and their bounds
    options.py          Options that several commands have, and how their values are parsed
    outputs.py          Outputs of all commands, checked before any work
    plan.py             The command plan: settings proposed from the data
    plots.py            Figures and maps beside results: `--plot`, `--maps`
    predict.py          The command predict: label images of new images
    predict_blocks.py   Prediction of an image in blocks, and the options for it
    predict_files.py    Prediction of files one by one, with what is written beside the labels
    predict_request.py  The request of predict: all of its options, parsed
    predict_stores.py   Prediction in blocks: of an image, of several, and of the fields of plates
    score.py            The command score: two folders of label images compared
    stack.py            The command stack: labels and surfaces of a stack of slices
    track.py            The command track: one number per object through a label film
    train.py            The command train: a model from a data folder
    tune.py             The command tune: decode options searched on the validation images

What is heavy is imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from embedseg.cli.app import COMMANDS, app as typer_app
from embedseg.cli.collecting import end_quickly
from embedseg.cli.console import explain_error, log_to_stderr

for _name in COMMANDS:
    import_module(f"embedseg.cli.{_name}_" if iskeyword(_name) else f"embedseg.cli.{_name}")
# One command may have imported the file of another before its turn.
typer_app.registered_commands.sort(key=lambda each: COMMANDS.index(str(each.name)))


def main(args: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 is success, 1 bad data, 2 bad usage, 130 Ctrl-C.

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
    end_quickly()
    try:
        # Taken out here, so that it may stand behind the command too.
        typer_app([arg for arg in args if arg != "--debug"], prog_name="embedseg", obj=tuple(args))
    except Exception as error:
        if debug:
            raise
        sys.exit(explain_error(error))

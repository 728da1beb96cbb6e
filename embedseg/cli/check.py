"""The command check: what a data folder holds, and its problems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, print_json
from embedseg.cli.options import (
    Axes,
    ChannelNames,
    ClassesText,
    Data,
    IgnoreLabel,
    Json,
    Masks,
    MethodName,
    Overwrite,
    SpacingText,
    given_options,
)
from embedseg.cli.plots import plot_data, plot_option
from embedseg.common import plural


@command("embedseg check my_data", "embedseg check my_data --spacing 2,0.5,0.5 --json")
def check(
    data: Data,
    method: MethodName = "embedding",
    masks: Masks = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    plot: Annotated[Path | None, plot_option("Draw some images and their masks")] = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """List what a data folder holds, and everything that is wrong with it."""
    from embedseg.data import DataOptions, check_folder
    from embedseg.methods import METHODS
    from embedseg.types import DataError

    options = DataOptions(**given_options(masks, axes, spacing, ignore_label, classes, channel))
    reads = METHODS[method].reads
    report = check_folder(data, reads=reads, options=options, progress=at_terminal())
    if json:
        print_json(report.to_dict())
    else:
        typer.echo(
            "\n".join([*report.lines(), *_advise(report.inventory.get("train", {}), method)])
        )
    if not report.ok:
        count = sum(finding.severity == "error" for finding in report.findings)
        raise DataError(f"{data}: {plural(count, 'finding')} in the way of training")
    if plot:
        plot_data(plot, data, options)
    if not json:
        typer.echo(f"{data}: ready for training")


def _advise(form: dict[str, Any], method: str) -> list[str]:
    """Return a line about the method that fits the objects."""
    from embedseg.methods import METHODS, choose_method

    if METHODS[method].reads != "objects" or "contact" not in form:
        return []
    return [choose_method(form["contact"], form["elongation"]).describe()]

"""The command plan: settings proposed from the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, findings_first, print_json, say
from embedseg.cli.help import TRAINED, methods, nets, presets
from embedseg.cli.numbers import parse_as
from embedseg.cli.options import (
    METHOD_HELP,
    Axes,
    ChannelNames,
    ClassesText,
    Data,
    Device,
    IgnoreLabel,
    Json,
    Masks,
    Overwrite,
    Settings,
    SpacingText,
    given_options,
    parse_settings,
    reading_options,
)
from embedseg.cli.plots import plot_option, plot_statistics

if TYPE_CHECKING:
    from embedseg.data import Statistics
    from embedseg.model import Config

NetName = Annotated[
    str | None,
    typer.Option(
        "--net",
        help="cenet, erfnet, unet, unet2d3d or unetpp.",
        show_default="the plan's",
        rich_help_panel=TRAINED,
        autocompletion=nets,
    ),
]
MethodChoice = Annotated[
    str | None,
    typer.Option(
        "--method",
        help=METHOD_HELP,
        show_default="auto: by the form of the objects; or --from's",
        callback=lambda name: None if name == "auto" else name,
        rich_help_panel=TRAINED,
        autocompletion=methods,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Recipe of training: default, or paper, the published one.",
        show_default="default",
        rich_help_panel=TRAINED,
        autocompletion=presets,
    ),
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        exists=True,
        file_okay=False,
        help="Fine-tune a model: begin with its weights, as far as they fit.",
        show_default=False,
        rich_help_panel=TRAINED,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory limit of the process: 4GB, 800MB. Batch, crop and prediction tiles are "
        "chosen to fit.",
        show_default="no limit",
        rich_help_panel=TRAINED,
    ),
]
Ndim = Annotated[
    int | None,
    typer.Option(
        "--ndim",
        min=2,
        max=3,
        help="2 trains a 2D net on the planes of 3D data.",
        show_default="that of the data",
        rich_help_panel=TRAINED,
    ),
]


class PlanRequest(NamedTuple):
    """Options given for planning; None leaves one to the plan."""

    method: str | None
    net: str | None
    ndim: int | None
    start: Path | None
    memory: float | None
    preset: str | None


@command("embedseg plan my_data", "embedseg plan my_data -o config.json --memory 4GB")
def plan(
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write the settings to.", show_default=False),
    ] = None,
    method: MethodChoice = None,
    net: NetName = None,
    ndim: Ndim = None,
    start: Start = None,
    preset: Preset = None,
    memory: Memory = None,
    settings: Settings = None,
    masks: Masks = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    plot: Annotated[
        Path | None, plot_option("Draw the sizes of objects, or the frequencies of classes")
    ] = None,
    device: Device = "auto",
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Propose all settings from the data, with the reasons."""
    from embedseg.model import save_config

    config, stats, reasons = plan_config(
        data,
        given_options(masks, axes, spacing, ignore_label, classes, channel),
        parse_settings(settings),
        PlanRequest(method, net, ndim, start, memory_limit(memory), preset),
        device,
    )
    if json:
        print_json(config.model_dump(mode="json"))
    else:
        typer.echo(reasons)
    if plot:
        plot_statistics(plot, stats)
    if output:
        save_config(config, output)
        say(f"written to {output}; next: embedseg train {data} -o MODEL --config {output}")


def memory_limit(text: str | None) -> float | None:
    """Return the memory limit in bytes."""
    from embedseg.model import parse_memory

    return None if text is None else parse_as("--memory", text, parse_memory)


def plan_config(
    data: Path,
    given: dict[str, Any],
    changes: dict[str, str],
    asked: PlanRequest,
    device: str,
) -> tuple[Config, Statistics, str]:
    """Return settings proposed from the data, with the changes asked for; statistics; reasons."""
    from embedseg.data import load_training
    from embedseg.model import (
        ModelFolder,
        explain,
        fit_to_memory,
        measure_data,
        plan_from,
        plan_reading,
    )

    options = reading_options(given, changes)
    with findings_first(data, options, asked.method or "embedding"):
        options = plan_reading(data, asked.method, options, asked.start)
        loaded = load_training(data, options, progress=at_terminal())
    stats = measure_data(loaded.train, asked.ndim, options)
    config = plan_from(
        stats,
        method=asked.method,
        net=asked.net,
        options=options,
        start=asked.start,
        preset=asked.preset or "default",
    ).changed(changes)
    if config.train.start:
        # Read here to refuse a folder without a model.
        ModelFolder(Path(config.train.start)).config()
    if asked.memory:
        config = fit_to_memory(config, asked.memory, stats.shapes, device)
    return config, stats, "\n".join([explain(config, stats, device), loaded.messages[-1]])

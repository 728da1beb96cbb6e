"""The command benchmark: methods and nets compared at equal time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.console import command_line, findings_first, say, show_result
from embedseg.cli.help import (
    COMPARED,
    methods as complete_methods,
    nets as complete_nets,
    one_of,
    presets as complete_presets,
)
from embedseg.cli.numbers import parse_as
from embedseg.cli.options import (
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
    parse_list,
    parse_settings,
    reading_options,
)
from embedseg.cli.plots import plot_option

#: Files and the folder that are written.
RESULTS = ("benchmark.json", "benchmark.md", "benchmark.png", "report.html", "labels", "runs")


@command(
    "embedseg benchmark my_data -o comparison --time-limit 4m",
    "embedseg benchmark my_data -o comparison --nets unet,erfnet --ndim 2,3 --seeds 3",
    "embedseg benchmark my_data -o comparison --presets default,paper --time-limit 5m,15m",
)
def benchmark(
    context: typer.Context,
    data: Data,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for the table, the curves and all models. "
            "An interrupted benchmark resumes there.",
        ),
    ],
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            metavar="NAMES",
            help="embedding and boundary find objects, semantic tells classes apart.",
            rich_help_panel=COMPARED,
            autocompletion=complete_methods,
        ),
    ] = "embedding,boundary",
    nets: Annotated[
        str | None,
        typer.Option(
            "--nets",
            metavar="NAMES",
            help="cenet, erfnet, unet, unet2d3d, unetpp.",
            show_default="the preset's",
            rich_help_panel=COMPARED,
            autocompletion=complete_nets,
        ),
    ] = None,
    ndim: Annotated[
        str | None,
        typer.Option(
            "--ndim",
            metavar="2,3",
            help="2 trains on the planes of volumes and is applied to planes.",
            show_default="that of the data",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    presets: Annotated[
        str,
        typer.Option(
            "--presets",
            metavar="NAMES",
            help="Recipes of training: default, paper.",
            rich_help_panel=COMPARED,
            autocompletion=complete_presets,
        ),
    ] = "default",
    time_limit: Annotated[
        str,
        typer.Option(
            "--time-limit",
            metavar="DURATIONS",
            help="Length of each training, or several: 5m,15m.",
            rich_help_panel=COMPARED,
        ),
    ] = "4m",
    seeds: Annotated[
        int,
        typer.Option(
            "--seeds",
            min=1,
            max=1000,
            help="Number of trainings of each kind.",
            rich_help_panel=COMPARED,
        ),
    ] = 2,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="Images to score: test or val.",
            rich_help_panel=COMPARED,
            autocompletion=one_of("test", "val"),
        ),
    ] = "test",
    masks: Masks = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    settings: Settings = None,
    plot: Annotated[Path | None, plot_option("Draw the curves there too")] = None,
    device: Device = "auto",
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Train methods and nets for the same time and put their scores into one table."""
    from embedseg.benchmark import (
        BenchmarkSetup,
        comparison_table,
        list_entries,
        run_benchmark,
        save_curves,
    )
    from embedseg.common import check_output_folder, quote
    from embedseg.model import parse_duration
    from embedseg.report import write_benchmark_report
    from embedseg.types import UsageError

    check_output_folder(output, True, RESULTS)
    changes = parse_settings(settings)
    given = given_options(masks, axes, spacing, ignore_label, classes, channel)
    options = reading_options(given, changes)
    changes = {key: value for key, value in changes.items() if not key.startswith("data.")}
    axis_counts = parse_list(ndim)
    if set(axis_counts) - {"2", "3"}:
        raise UsageError(f"--ndim {quote(ndim)}: expected 2, 3 or 2,3")
    runs = list_entries(
        methods=parse_list(methods),
        nets=parse_list(nets) or (None,),
        ndims=[int(count) for count in axis_counts] or (None,),
        presets=parse_list(presets),
        minutes=[
            parse_as("--time-limit", text, parse_duration) / 60 for text in parse_list(time_limit)
        ],
        seeds=seeds,
    )
    bench = BenchmarkSetup(data, output, split, options, changes, device)
    say(
        f"{len(runs)} trainings, {sum(run.minutes for run in runs):.0f} minutes, and the time to "
        "score them"
    )
    with findings_first(data, options, runs[0].method):
        records = run_benchmark(bench, runs, overwrite=overwrite)
    if plot:
        save_curves(plot, records)
    write_benchmark_report(
        output / "report.html",
        records,
        command=command_line(context),
        title=f"Benchmark on {data.name}: {split}",
        setup=bench,
    )
    show_result({"runs": records}, "\n".join(comparison_table(records)), json)
    say(
        f"written to {output}: benchmark.json, benchmark.md, benchmark.png, report.html, the "
        "models in runs and their labels"
    )

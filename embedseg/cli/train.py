"""The command train: a model from a data folder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import command_line, findings_first, say, show_result
from embedseg.cli.help import TRAINED, TRAINING
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
    parse_settings,
)
from embedseg.cli.plan import (
    Memory,
    MethodChoice,
    Ndim,
    NetName,
    PlanRequest,
    Preset,
    Start,
    memory_limit,
    plan_config,
)
from embedseg.cli.plots import plot_option

if TYPE_CHECKING:
    from embedseg.model import Config
    from embedseg.segmenter import Segmenter


@command(
    "embedseg train my_data -o nuclei --time-limit 15m",
    "embedseg train my_data -o nuclei --epochs 200 --resume",
    "embedseg train more_data -o better --from nuclei --time-limit 5m",
)
def train(
    context: typer.Context,
    data: Data,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="Folder for the model.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            exists=True,
            dir_okay=False,
            help="Settings written by `embedseg plan`.",
            show_default="planned from the data",
            rich_help_panel=TRAINED,
        ),
    ] = None,
    method: MethodChoice = None,
    net: NetName = None,
    ndim: Ndim = None,
    start: Start = None,
    preset: Preset = None,
    memory: Memory = None,
    settings: Settings = None,
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="DURATION",
            help="Length of the training: 90s, 15m, 1h30m.",
            show_default=False,
            rich_help_panel=TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            max=10**6,
            help="Length of the training; with a time limit too, the first to be reached ends it.",
            show_default="until the time limit, else train.epochs",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**32 - 1,
            help="Seed of random weights, crops and augmentation.",
            show_default="0",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    masks: Masks = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    device: Device = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume an interrupted training in MODEL, or begin one.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    devices: Annotated[
        int,
        typer.Option(
            "--devices",
            min=1,
            max=1024,
            help="Number of devices that share each batch; use net.norm=group.",
            rich_help_panel=TRAINING,
        ),
    ] = 1,
    overwrite: Overwrite = False,
    no_tune: Annotated[
        bool,
        typer.Option(
            "--no-tune", help="Leave the decode options as they are.", rich_help_panel=TRAINING
        ),
    ] = False,
    plot: Annotated[Path | None, plot_option("Draw the training curves there too")] = None,
    json: Json = False,
) -> None:
    """Train a model; Ctrl-C keeps the best so far. MODEL/report.html shows how it went."""
    from embedseg.model import ModelFolder, parse_duration
    from embedseg.report import write_training_report
    from embedseg.segmenter import Segmenter
    from embedseg.training import save_history
    from embedseg.types import UsageError

    limit = None if time_limit is None else parse_as("--time-limit", time_limit, parse_duration)
    changes = parse_settings(settings) | ({} if seed is None else {"train.seed": str(seed)})
    reading = given_options(masks, axes, spacing, ignore_label, classes, channel)
    asked = PlanRequest(method, net, ndim, start, memory_limit(memory), preset)
    if resume and overwrite:
        raise UsageError("--resume and --overwrite: choose one")
    folder = ModelFolder(output)
    folder.check_free(resume=resume, overwrite=overwrite)
    if resume and folder.unfinished().exists():
        chosen = _resumed_config(folder.unfinished().path, config, reading, changes, asked)
    else:
        chosen = _new_config(data, config, reading, changes, asked, device)
    with findings_first(data, chosen.data, chosen.method.type):
        model = Segmenter.new(chosen, device).fit(
            data,
            time_limit=limit,
            epochs=epochs,
            folder=output,
            resume=resume,
            overwrite=overwrite,
            tune=not no_tune,
            devices=devices,
        )
    if plot:
        save_history(plot, model.history)
    write_training_report(
        output / "report.html", model, data, folder=output, command=command_line(context)
    )
    score, message = _last_score(model, chosen.method.primary)
    if score == 0:
        say(
            "warning: the model finds nothing that is right in the validation images; train "
            "longer, such as with --resume --time-limit 15m"
        )
    show_result(
        {"model": output, "metric": chosen.method.primary, "score": score},
        f"{output}: trained, {message}\n"
        f"next: embedseg evaluate {output} {data}, or embedseg predict {output} IMAGES -o labels",
        json,
    )


def _new_config(
    data: Path,
    file: Path | None,
    reading: dict[str, Any],
    changes: dict[str, str],
    asked: PlanRequest,
    device: str,
) -> Config:
    """Return the settings of a new training: those of a file, or planned."""
    from embedseg.model import check_memory, load_config
    from embedseg.types import UsageError

    if file is None:
        config, stats, reasons = plan_config(data, reading, changes, asked, device)
        say(reasons)
        check_memory(config, stats.shapes, device)
        return config
    if any(asked):
        raise UsageError(
            "--config holds all settings; leave out --method, --net, --ndim, --from, "
            "--memory and --preset"
        )
    config = load_config(file).changed({f"data.{k}": v for k, v in reading.items()} | changes)
    check_memory(config, (), device)
    return config


def _resumed_config(
    folder: Path,
    file: Path | None,
    reading: dict[str, Any],
    changes: dict[str, str],
    asked: PlanRequest,
) -> Config:
    """Return the settings in the folder; others may be given only if they are the same."""
    from embedseg.model import ModelFolder
    from embedseg.types import UsageError

    config = ModelFolder(folder).config()
    same = config.changed({f"data.{k}": v for k, v in reading.items()} | changes)
    wished = {
        "method": asked.method,
        "net": asked.net,
        "ndim": asked.ndim,
        "start": asked.start and str(asked.start.resolve()),
    }
    held = {
        "method": config.method.type,
        "net": config.net.type,
        "ndim": config.ndim,
        "start": config.train.start,
    }
    # The settings already hold the effect of a memory limit or a preset.
    if file or same != config or any(value and value != held[k] for k, value in wished.items()):
        raise UsageError(
            f"--resume uses the settings in {folder}; those given differ. "
            "Leave them out, or train another model"
        )
    return config


def _last_score(model: Segmenter, primary: str) -> tuple[float, str]:
    """Return the score on the validation images, that of `embedseg evaluate`, and its text."""
    tuned = model.tuned
    if tuned is None or not math.isfinite(tuned.after):
        scores = [row[f"val_{primary}"] for row in model.history if f"val_{primary}" in row]
        return max(scores, default=math.nan), best_score(model.history, primary)
    before = "" if tuned.after == tuned.before else f", {tuned.before:.3f} before tuning"
    return tuned.after, f"{primary} {tuned.after:.3f} on validation images{before}"


def best_score(history: list[dict[str, float]], primary: str) -> str:
    """Format the best score on the validation images, that of the weights kept."""
    scores = [row[f"val_{primary}"] for row in history if f"val_{primary}" in row]
    return f"{primary} {max(scores):.3f} on validation images" if scores else "not validated"

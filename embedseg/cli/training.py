"""Commands on the way to a model: check, plan, train, tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from embedseg.cli import helping
from embedseg.cli.helping import TRAINED, TRAINING
from embedseg.cli.pictures import plot_data, plot_option, plot_statistics
from embedseg.cli.shared import (
    Axes,
    ClassesText,
    Data,
    Device,
    IgnoreLabel,
    Json,
    Masks,
    MethodName,
    Model,
    Overwrite,
    Settings,
    SpacingText,
    at_terminal,
    best_score,
    command,
    findings_first,
    given_options,
    parse_list,
    parse_settings,
    print_json,
    reading_options,
    say,
    typed,
)

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
        autocompletion=helping.nets,
    ),
]
MethodChoice = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="What is learned and decoded: embedding or boundary for objects, semantic for "
        "classes.",
        show_default="embedding, or --from's",
        rich_help_panel=TRAINED,
        autocompletion=helping.methods,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Recipe of training: default, or paper, the published one.",
        show_default="default",
        rich_help_panel=TRAINED,
        autocompletion=helping.presets,
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
        help="Most memory the process may take: 4GB, 800MB. Batch, crop "
        "and the tiles of prediction are chosen so.",
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


class _Asked(NamedTuple):
    """What the options of planning ask for; None leaves it to the plan."""

    method: str | None
    net: str | None
    ndim: int | None
    start: Path | None
    memory: str | None
    preset: str | None


@command("embedseg check my_data", "embedseg check my_data --spacing 2,0.5,0.5 --json")
def check(
    data: Data,
    method: MethodName = "embedding",
    masks: Masks = None,
    axes: Axes = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    plot: Annotated[Path | None, plot_option("Draw some images and what is marked in them")] = None,
    json: Json = False,
) -> None:
    """List what a data folder holds, and everything that is wrong with it."""
    from embedseg.data import DataOptions, check_folder
    from embedseg.methods import method_class
    from embedseg.types import DataError

    options = DataOptions(**given_options(masks, axes, spacing, ignore_label, classes))
    reads = method_class(method).reads
    report = check_folder(data, reads=reads, options=options, progress=at_terminal())
    if json:
        print_json(report.to_dict())
    else:
        typer.echo("\n".join(report.lines()))
    if not report.ok:
        count = sum(found.severity == "error" for found in report.findings)
        raise DataError(f"{data}: {count} finding{'s' * (count > 1)} in the way of training")
    if plot:
        plot_data(plot, data, options)
    if not json:
        typer.echo(f"{data}: ready for training")


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
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    plot: Annotated[
        Path | None, plot_option("Draw how large objects are, or how frequent classes")
    ] = None,
    device: Device = "auto",
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Propose all settings from the data, and say why."""
    from embedseg.model import save_config
    from embedseg.types import UsageError

    if output and output.exists() and not overwrite:
        raise UsageError(f"{output}: exists; choose another, or --overwrite")
    asked = _Asked(method, net, ndim, start, memory, preset)
    config, stats, words = _planned(
        data,
        given_options(masks, axes, spacing, ignore_label, classes),
        parse_settings(settings),
        asked,
        device,
    )
    if json:
        print_json(config.model_dump(mode="json"))
    else:
        typer.echo(words)
    if plot:
        plot_statistics(plot, stats)
    if output:
        save_config(config, output)
        say(f"written to {output}; next: embedseg train {data} -o MODEL --config {output}")


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
            help="Of weights, crops and augmentation.",
            show_default="0",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    masks: Masks = None,
    axes: Axes = None,
    spacing: SpacingText = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    device: Device = "auto",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an interrupted training in MODEL, or begin it.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    devices: Annotated[
        int,
        typer.Option(
            "--devices",
            min=1,
            help="How many devices share each batch; use net.norm=group.",
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
    plot: Annotated[Path | None, plot_option("Draw how it went there too")] = None,
) -> None:
    """Train a model; Ctrl-C keeps the best so far. MODEL/report.html shows how it went."""
    from embedseg.common import refuse_used
    from embedseg.model import parse_duration
    from embedseg.report import training_report
    from embedseg.segmenter import Segmenter
    from embedseg.training import save_history
    from embedseg.types import UsageError

    limit = None if time_limit is None else parse_duration(time_limit)
    changes = parse_settings(settings) | ({} if seed is None else {"train.seed": str(seed)})
    reading = given_options(masks, axes, spacing, ignore_label, classes)
    asked = _Asked(method, net, ndim, start, memory, preset)
    if resume and overwrite:
        raise UsageError("--resume and --overwrite: choose one")
    if resume and (output / "config.json").is_file():
        chosen = _resumed(output, config, reading, changes, asked)
    else:
        refuse_used(output, overwrite)
        chosen = _chosen(data, config, reading, changes, asked, device)
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
    training_report(output / "report.html", model, data, folder=output, command=typed(context))
    typer.echo(f"{output}: trained, {best_score(model.history, chosen.method.primary)}")
    typer.echo(
        f"next: embedseg evaluate {output} {data}, or embedseg predict {output} IMAGES -o labels"
    )


@command("embedseg tune nuclei my_data")
def tune(
    model: Model,
    data: Data,
    device: Device = "auto",
    plot: Annotated[Path | None, plot_option("Draw the scores of all that was tried")] = None,
) -> None:
    """Search the decode options on the validation images, and save the better ones.

    Of an ensemble the weights of its members too, if there are images enough.
    """
    from embedseg.plots import save_trials
    from embedseg.segmenter import Segmenter

    segmenter = Segmenter.load(model, device)
    with findings_first(data, segmenter.config.data, segmenter.config.method.type):
        found = segmenter.tune(data, progress=at_terminal())
    segmenter.save(model)
    if plot:
        save_trials(plot, found.trials, found.method.primary, title=model.name)
    typer.echo(found.words)


@command("embedseg ensemble net_2d,net_3d -o both", "embedseg ensemble a,b,c -o abc --tune my_data")
def ensemble(
    models: Annotated[
        str,
        typer.Argument(
            metavar="MODEL,MODEL,...",
            help="Folders of trained models, of one method and of images of "
            "one kind; nets, axes and pixel sizes may differ.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="ENSEMBLE",
            help="Folder for the ensemble, with copies of its members.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--tune",
            metavar="DATA",
            exists=True,
            file_okay=False,
            help="Search decode options, and "
            "the members' weights if there are images enough, on the validation images.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make one model of several: the mean of what their nets predict, decoded once."""
    from embedseg.model import join_models
    from embedseg.segmenter import Segmenter

    join_models(parse_list(models), output, overwrite=overwrite)
    if data:
        segmenter = Segmenter.load(output, device)
        found = segmenter.tune(data, progress=at_terminal())
        segmenter.save(output)
        typer.echo(found.words)
    typer.echo(
        f"{output}: ensemble of {len(parse_list(models))} models; next: embedseg evaluate "
        f"{output} DATA, or embedseg predict {output} IMAGES -o labels"
    )


# -- configurations --------------------------------------------------------------------------------
def _planned(
    data: Path,
    given: dict[str, Any],
    changes: dict[str, str],
    asked: _Asked,
    device: str,
) -> tuple[Config, Statistics, str]:
    """Return settings proposed from the data, with what was asked for changed, and why."""
    from embedseg.data import load_training
    from embedseg.model import explain, measured, parse_memory, plan_from, reading, within

    options = reading_options(given, changes)
    with findings_first(data, options, asked.method or "embedding"):
        options = reading(data, asked.method, options, asked.start)
        samples = load_training(data, options, progress=at_terminal()).train
    stats = measured(samples, asked.ndim, options)
    config = plan_from(
        stats,
        method=asked.method,
        net=asked.net,
        options=options,
        start=asked.start,
        preset=asked.preset or "default",
    ).changed(changes)
    if asked.memory:
        config = within(config, parse_memory(asked.memory), stats.shapes, device)
    return config, stats, explain(config, stats, device)


def _chosen(
    data: Path,
    file: Path | None,
    reading: dict[str, Any],
    changes: dict[str, str],
    asked: _Asked,
    device: str,
) -> Config:
    """Return the settings to train with: those of a file, or planned."""
    from embedseg.model import load_config
    from embedseg.types import UsageError

    if file is None:
        config, _, words = _planned(data, reading, changes, asked, device)
        say(words)
        return config
    if any(asked):
        raise UsageError(
            "--config says all of it; leave out --method, --net, --ndim, --from, "
            "--memory and --preset"
        )
    return load_config(file).changed({f"data.{k}": v for k, v in reading.items()} | changes)


def _resumed(
    folder: Path,
    file: Path | None,
    reading: dict[str, Any],
    changes: dict[str, str],
    asked: _Asked,
) -> Config:
    """Return the settings in the folder; others may be given only if they are the same."""
    from embedseg.model import load_config
    from embedseg.types import UsageError

    config = load_config(folder / "config.json")
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
    # What a memory limit or a preset led to is in the settings already.
    if file or same != config or any(value and value != held[k] for k, value in wished.items()):
        raise UsageError(
            f"--resume goes on with the settings in {folder}; those given differ. "
            "Leave them out, or train another model"
        )
    return config

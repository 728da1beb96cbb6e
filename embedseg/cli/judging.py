"""Commands that say how good a model is, and what it is: evaluate, score, info."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.helping import WRITTEN, one_of
from embedseg.cli.pictures import PlotScores, plot_option, plot_scores
from embedseg.cli.shared import (
    Axes,
    ClassesText,
    Data,
    Device,
    IgnoreLabel,
    Json,
    Model,
    Planes,
    Settings,
    Tta,
    at_terminal,
    best_score,
    check_fit,
    command,
    findings_first,
    given_options,
    parse_settings,
    print_json,
    typed,
)

if TYPE_CHECKING:
    from embedseg.model import Config
    from embedseg.scoring import Scoring

CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write the scores of each image.",
        show_default=False,
        rich_help_panel=WRITTEN,
    ),
]


@command("embedseg evaluate nuclei my_data", "embedseg evaluate nuclei my_data --split val --json")
def evaluate(
    context: typer.Context,
    model: Model,
    data: Data,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            help="train, val or test.",
            autocompletion=one_of("train", "val", "test"),
        ),
    ] = "test",
    tta: Tta = False,
    planes: Planes = False,
    settings: Settings = None,
    device: Device = "auto",
    json: Json = False,
    csv: CsvFile = None,
    plot: PlotScores = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write a page with scores, errors and pictures, evaluation.html say.",
            show_default=False,
            rich_help_panel=WRITTEN,
        ),
    ] = None,
) -> None:
    """Segment a split of a data folder and compare with its masks; an ensemble's members too."""
    from embedseg.data import load_split
    from embedseg.evaluation import score_samples
    from embedseg.report import Gallery, evaluation_report
    from embedseg.segmenter import Segmenter

    segmenter = Segmenter.load(model, device).with_options(parse_settings(settings))
    gallery = Gallery(segmenter.config.method) if report else None
    with findings_first(data, segmenter.config.data, segmenter.config.method.type):
        samples = load_split(data, split, segmenter.config.data)
    for sample in samples:
        check_fit(segmenter, "ZYX"[-sample.labels.ndim :], planes, sample.path)
    scoring, told = segmenter.config.method.scoring(), {}
    folders = segmenter.ensemble.folders if segmenter.ensemble else ()
    for folder in (*folders, model):
        one = segmenter if folder is model else Segmenter.load(folder, device)
        sliced = planes or one.config.ndim < samples[0].labels.ndim
        results = []
        for sample, found, scores in score_samples(
            one,
            samples,
            tta=tta or None,
            planes=sliced or None,
            progress=at_terminal(),
            scoring=scoring,
        ):
            results.append((sample.name, scores))
            if gallery and one is segmenter:
                gallery.add(
                    sample.name,
                    sample.image,
                    found,
                    sample.labels,
                    scores=scores,
                    spacing=sample.spacing,
                )
        told[folder.name] = scoring.summarise(results)
    if report and gallery:
        evaluation_report(
            report,
            segmenter,
            gallery,
            samples,
            folder=model,
            command=typed(context),
            title=f"{model.name} on {data.name}: {split}",
        )
    if plot:
        plot_scores(plot, told, scoring)
    _show_scores(results, scoring, json, csv, members=told if folders else {})


def _side_by_side(summaries: dict[str, Any], scoring: Scoring) -> str:
    """Lay the headlines of models out, a line for each."""
    rows = [(name, scoring.headline(summary)) for name, summary in summaries.items()]
    width = max(len(name) for name in summaries) + 2
    lines = [" " * width + "".join(f"{title:>14}" for title in rows[0][1])]
    for name, scores in rows:
        cells = ("" if value is None else f"{value:.3f}" for value in scores.values())
        lines.append(name.ljust(width) + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)


@command(
    "embedseg score my_data/test/masks labels",
    "embedseg score truth labels --json",
    "embedseg score truth labels --classes cell=0,membrane=1",
)
def score(
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH_DIR", exists=True, file_okay=False, help="Folder of true label images."
        ),
    ],
    predicted: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTED_DIR",
            exists=True,
            file_okay=False,
            help="Folder of predicted label images, whoever made them.",
        ),
    ],
    axes: Axes = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    json: Json = False,
    csv: CsvFile = None,
    plot: PlotScores = None,
) -> None:
    """Compare two folders of label images: of objects, or of the classes that are named."""
    from embedseg.data import DataOptions
    from embedseg.evaluation import score_folders
    from embedseg.methods import as_method

    named = DataOptions.model_validate(given_options(None, None, None, None, classes)).classes
    method = as_method(
        {"type": "semantic", "names": [each.name for each in named]}
        if named
        else {"type": "embedding"}
    )
    results = score_folders(
        truth,
        predicted,
        axes=axes and axes.upper(),
        classes=named,
        ignore_label=ignore_label,
        scoring=method.scoring(),
    )
    if plot:
        plot_scores(plot, {predicted.name: method.scoring().summarise(results)}, method.scoring())
    _show_scores(results, method.scoring(), json, csv)


def _show_scores(
    results: Sequence[tuple[str, Any]],
    scoring: Scoring,
    json: bool,
    csv: Path | None,
    members: dict[str, Any] | None = None,
) -> None:
    from embedseg.evaluation import write_csv

    summary = scoring.summarise(results)
    if csv:
        write_csv(csv, results, scoring)
    if json:
        print_json(summary | ({"members": members} if members else {}))
        return
    typer.echo(scoring.table(summary))
    if members:
        typer.echo("\n" + _side_by_side(members, scoring))


# -- info ------------------------------------------------------------------------------------------
@command("embedseg info nuclei")
def info(
    model: Model,
    json: Json = False,
    plot: Annotated[Path | None, plot_option("Draw how its training went")] = None,
) -> None:
    """Say what a model is, what it was trained on and how it decodes."""
    from embedseg.model import ENSEMBLE, load_config, read_ensemble
    from embedseg.nets import resolve_device
    from embedseg.training import read_history

    config = load_config(model / "config.json")
    history, members = read_history(model / "history.csv"), []
    if (model / ENSEMBLE).is_file():
        found = read_ensemble(model, resolve_device("cpu"))
        members = [
            {"name": folder.name, "weight": weight, **_facts(load_config(folder / "config.json"))}
            for folder, weight in zip(found.folders, found.weights, strict=True)
        ]
    if plot:
        _plot_history(plot, model, history)
    parameters = sum(each["parameters"] for each in members) or _facts(config)["parameters"]
    if json:
        print_json(
            {
                "config": config.model_dump(mode="json"),
                "parameters": parameters,
                "history": history,
                **({"members": members} if members else {}),
            }
        )
        return
    unit = "µm" if config.spacing_known else "pixels (nothing is known)"
    kind = f"ensemble of {len(members)} nets" if members else config.net.type
    typer.echo(
        f"{model}: {config.method.type} with {kind} of "
        f"{parameters / 1e6:.2f} million parameters, {config.ndim}D, "
        f"{config.channels} channel(s)"
    )
    for each in members:
        typer.echo(
            f"  {each['name']}: {each['net']} in {each['ndim']}D, "
            f"{each['parameters'] / 1e6:.2f} million parameters, weight {each['weight']:g}"
        )
    typer.echo(f"spacing: {', '.join(f'{s:g}' for s in config.spacing)} {unit}")
    if history:
        last = history[-1]
        typer.echo(
            f"trained: {last['step']:.0f} steps in {last['minutes']:.1f} minutes, "
            f"{best_score(history, config.method.primary)}"
        )
    for part in ("normalize", "method", "net", "train", "predict", "data"):
        typer.echo(f"{part}:")
        for key, value in getattr(config, part).model_dump(mode="json").items():
            typer.echo(f"  {part}.{key} = {_short(value)}")


def _plot_history(path: Path, model: Path, history: list[dict[str, float]]) -> None:
    from embedseg.training import save_history
    from embedseg.types import DataError

    if not history:
        raise DataError(f"{model}: holds no history of a training (history.csv), nothing to draw")
    save_history(path, history)


def _facts(config: Config) -> dict[str, Any]:
    """Return what a model's net is and how many parameters it has."""
    count = sum(weight.numel() for weight in config.build_net().parameters())
    return {"net": config.net.type, "ndim": config.ndim, "parameters": count}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

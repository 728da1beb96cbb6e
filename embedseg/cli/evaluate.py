"""The command evaluate: scores of a model on a split of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, command_line, findings_first
from embedseg.cli.help import WRITTEN, one_of
from embedseg.cli.options import (
    ChannelNames,
    Data,
    Device,
    Json,
    Model,
    Overwrite,
    Planes,
    Settings,
    Tta,
    check_axes,
    parse_channels,
    parse_settings,
)
from embedseg.cli.plots import PlotScores, plot_scores
from embedseg.cli.score import CsvFile, show_scores

if TYPE_CHECKING:
    from embedseg.scoring import Scoring


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
    channel: ChannelNames = None,
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
            help="Write a page with scores, errors and pictures, such as evaluation.html.",
            show_default=False,
            rich_help_panel=WRITTEN,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Segment a split of a data folder and compare with its masks; an ensemble's members too."""
    from embedseg.data import load_split
    from embedseg.evaluation import score_samples
    from embedseg.model import check_pixel_size
    from embedseg.report import Gallery, write_evaluation_report
    from embedseg.segmenter import Segmenter
    from embedseg.types import DataError

    segmenter = Segmenter.load(model, device).with_options(parse_settings(settings))
    gallery = Gallery(segmenter.config.method) if report else None
    asked, options = parse_channels(channel), segmenter.config.data
    if asked:
        options = options.model_copy(update={"channels": asked})
    with findings_first(data, options, segmenter.config.method.type, split):
        samples = load_split(data, split, options, None if asked else segmenter.config.channels)
    for sample in samples:
        check_axes(segmenter, "ZYX"[-sample.labels.ndim :], planes, sample.path)
        # Again when it is segmented, without its name.
        check_pixel_size(segmenter.predictor, sample.spacing, str(sample.path), warn=False)
    scoring, summaries = segmenter.config.method.scoring(), {}
    folders = [each.folder for each in segmenter.predictor.members]
    for folder in (*folders, model):
        one = segmenter if folder is model else Segmenter.load(folder, device)
        sliced = planes or one.config.ndim < samples[0].labels.ndim
        results = []
        for sample, segmentation, scores in score_samples(
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
                    segmentation,
                    sample.labels,
                    scores=scores,
                    spacing=sample.spacing,
                )
        summaries[folder.name] = scoring.summarise(results)
    reported = True
    if report and gallery:
        reported = write_evaluation_report(
            report,
            segmenter,
            gallery,
            samples,
            folder=model,
            command=command_line(context),
            title=f"{model.name} on {data.name}: {split}",
        )
    if plot:
        plot_scores(plot, summaries, scoring)
    show_scores(results, scoring, json, csv, **({"members": summaries} if folders else {}))
    if folders and not json:
        typer.echo("\n" + _side_by_side(summaries, scoring))
    if not reported:
        raise DataError(f"{report}: the report was asked for and not written")


def _side_by_side(summaries: dict[str, Any], scoring: Scoring) -> str:
    """Format the main scores of models as a table, a line for each model."""
    rows = [(name, scoring.headline(summary)) for name, summary in summaries.items()]
    width = max(len(name) for name in summaries) + 2
    lines = [" " * width + "".join(f"{title:>14}" for title in rows[0][1])]
    for name, scores in rows:
        cells = ("" if value is None else f"{value:.3f}" for value in scores.values())
        lines.append(name.ljust(width) + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(lines)

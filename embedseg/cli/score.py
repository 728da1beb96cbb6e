"""The command score: two folders of label images compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import print_json
from embedseg.cli.help import WRITTEN
from embedseg.cli.options import Axes, ClassesText, IgnoreLabel, Json, Overwrite, given_options
from embedseg.cli.plots import PlotScores, plot_scores

if TYPE_CHECKING:
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
            help="Folder of predicted label images, from any program.",
        ),
    ],
    axes: Axes = None,
    ignore_label: IgnoreLabel = None,
    classes: ClassesText = None,
    json: Json = False,
    csv: CsvFile = None,
    plot: PlotScores = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare two folders of label images: objects, or the classes named by --classes."""
    from embedseg.data import DataOptions
    from embedseg.evaluation import score_folders
    from embedseg.methods import as_method

    named = DataOptions.model_validate(given_options(None, None, None, None, classes)).classes
    method = as_method(
        {"type": "semantic", "names": [each.name for each in named]}
        if named
        else {"type": "embedding"}
    )
    scoring = method.scoring()
    results = score_folders(
        truth,
        predicted,
        axes=axes and axes.upper(),
        classes=named,
        ignore_label=ignore_label,
        scoring=scoring,
    )
    if plot:
        plot_scores(plot, {predicted.name: scoring.summarise(results)}, scoring)
    show_scores(results, scoring, json, csv)


def show_scores(
    results: Sequence[tuple[str, Any]],
    scoring: Scoring,
    json: bool,
    csv: Path | None,
    **more: Any,
) -> None:
    """Print the scores of images as a table or as JSON, which has more entries; write a CSV."""
    from embedseg.evaluation import write_csv

    summary = scoring.summarise(results)
    if csv:
        write_csv(csv, results, scoring)
    if json:
        print_json(summary | more)
    else:
        typer.echo(scoring.table(summary))

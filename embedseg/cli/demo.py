"""The command demo: training and prediction on the sample images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.console import show_result
from embedseg.cli.numbers import parse_as
from embedseg.cli.options import Device, Json, Overwrite


@command("embedseg demo", "embedseg demo --ndim 3 -o volume_demo")
def demo(
    ndim: Annotated[int, typer.Option("--ndim", min=2, max=3, help="2 or 3.")] = 2,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for model, labels, pictures and scores.",
        ),
    ] = Path("embedseg-demo"),
    time_limit: Annotated[
        str, typer.Option("--time-limit", metavar="DURATION", help="Length of the training.")
    ] = "200s",
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train on the images that come with the package, and segment the ones held back."""
    from embedseg.common import check_output_folder
    from embedseg.demo import WRITTEN, run_demo
    from embedseg.model import parse_duration
    from embedseg.scoring import object_table

    seconds = parse_as("--time-limit", time_limit, parse_duration)
    check_output_folder(output, overwrite, WRITTEN)
    summary = run_demo(output, ndim=ndim, time_limit=seconds, device=device)
    show_result(
        summary,
        f"{object_table(summary)}\n\n"
        f"{output}: scores.json, labels, and in overlays a picture of every image\n"
        "\nNext, with your own images:\n"
        f"  embedseg predict {output / 'model'} IMAGES -o labels\n"
        "  embedseg train MY_DATA -o my_model --time-limit 15m",
        json,
    )

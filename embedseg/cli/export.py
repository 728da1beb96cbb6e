"""The command export: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.console import show_result
from embedseg.cli.help import ABOUT, one_of
from embedseg.cli.options import Json, Model, Overwrite, parse_list


@command(
    "embedseg export nuclei -o nuclei.zip --data my_data --license CC-BY-4.0 \\\n"
    "    --authors 'A. Author, B. Author'",
    "embedseg export nuclei -o nuclei.onnx",
)
def export(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="File to write.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="bioimageio (a package for the BioImage Model Zoo, .zip) or "
            "onnx (the net alone, .onnx).",
            show_default="by the name of OUT",
            autocompletion=one_of("bioimageio", "onnx"),
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            "--name",
            help="Name in the zoo.",
            show_default="embedseg and the name of the folder",
            rich_help_panel=ABOUT,
        ),
    ] = "",
    authors: Annotated[
        str | None,
        typer.Option(
            "--authors",
            metavar="NAME,...",
            help="Who made the model.",
            show_default=False,
            rich_help_panel=ABOUT,
        ),
    ] = None,
    description: Annotated[
        str,
        typer.Option(
            "--description",
            help="A sentence on the model.",
            show_default="its task, method and net",
            rich_help_panel=ABOUT,
        ),
    ] = "",
    licence: Annotated[
        str | None,
        typer.Option(
            "--license",
            "--licence",
            metavar="SPDX",
            help="Licence of the weights, such as CC-BY-4.0; "
            "that of embedseg is for its code alone.",
            show_default=False,
            rich_help_panel=ABOUT,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DATA",
            exists=True,
            file_okay=False,
            help="Data folder; one of its validation images becomes example and cover.",
            show_default="a synthetic image",
            rich_help_panel=ABOUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a model for other programs: for the BioImage Model Zoo, or as ONNX.

    A package of the zoo is tested as the zoo does it before it is written. It holds the whole
    model: `embedseg import` gives it back.
    """
    from embedseg.zoo import About, export_model

    about = About(
        name=name,
        authors=tuple(parse_list(authors)),
        description=description,
        license=licence,
        data=data,
    )
    kind = export_model(model, output, to, about, overwrite=overwrite)
    show_result(
        {"model": model, "output": output, "format": kind},
        f"{model} written to {output} ({kind})",
        json,
    )

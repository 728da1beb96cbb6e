"""The commands that give models to other programs and take them back: export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.helping import ABOUT, one_of
from embedseg.cli.shared import Model, Overwrite, command, parse_list


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
            show_default="embedseg and the folder's",
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
            help="Data folder: a validation image of it becomes example and cover.",
            show_default="a synthetic image",
            rich_help_panel=ABOUT,
        ),
    ] = None,
    overwrite: Overwrite = False,
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
    typer.echo(f"{model} written to {output} ({kind})")


@command("embedseg import nuclei.zip -o nuclei", name="import")
def import_package(
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="Zip or folder that embedseg export wrote.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="Folder for the model.")
    ],
    overwrite: Overwrite = False,
) -> None:
    """Take a model out of a package of the BioImage Model Zoo that embedseg made.

    No code of the package's is run.
    """
    from embedseg.zoo import import_model

    import_model(package, output, overwrite=overwrite)
    typer.echo(
        f"{output}: the model of {package}\nnext: embedseg predict {output} IMAGES -o labels"
    )

"""The command import: a model from a package of the BioImage Model Zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.console import show_result
from embedseg.cli.options import Json, Overwrite


@command("embedseg import nuclei.zip -o nuclei")
def import_(
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE", help="Zip or folder that embedseg export wrote.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="Folder for the model.")
    ],
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Take a model out of a package of the BioImage Model Zoo that embedseg made.

    No code of the package is run.
    """
    from embedseg.zoo import import_model

    import_model(package, output, overwrite=overwrite)
    show_result(
        {"package": package, "model": output},
        f"{output}: the model of {package}\nnext: embedseg predict {output} IMAGES -o labels",
        json,
    )

"""The command ensemble: several models joined into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, say, show_result
from embedseg.cli.options import Device, Json, Overwrite, parse_list
from embedseg.cli.tune import tuned_values


@command("embedseg ensemble net_2d,net_3d -o both", "embedseg ensemble a,b,c -o abc --tune my_data")
def ensemble(
    models: Annotated[
        str,
        typer.Argument(
            metavar="MODEL,MODEL,...",
            help="Folders of trained models of one method and one kind of images; nets, axes and "
            "pixel sizes may differ.",
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
            help="Search decode options, and the members' weights if there are enough images, "
            "on the validation images.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Make one model of several: the mean of what their nets predict, decoded once."""
    from embedseg.model import join_models
    from embedseg.segmenter import Segmenter

    values: dict[str, Any] = {"ensemble": output, "members": parse_list(models)}

    def tune(folder: Path) -> None:
        if data:
            segmenter = Segmenter.load(folder, device)
            tuned = segmenter.tune(data, progress=at_terminal())
            segmenter.save(folder)
            values["tuned"] = tuned_values(tuned)
            say(tuned.message)

    join_models(parse_list(models), output, overwrite=overwrite, finish=tune)
    show_result(
        values,
        f"{output}: ensemble of {len(parse_list(models))} models; next: embedseg evaluate "
        f"{output} DATA, or embedseg predict {output} IMAGES -o labels",
        json,
    )

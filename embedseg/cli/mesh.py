"""The command mesh: surfaces of labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, say, show_result
from embedseg.cli.help import SURFACES
from embedseg.cli.numbers import parse_whole
from embedseg.cli.options import (
    Axes,
    Json,
    Overwrite,
    SpacingText,
    parse_spacing,
    pixel_size,
)
from embedseg.common import plural

if TYPE_CHECKING:
    from embedseg.export import Measures
    from embedseg.images import Image

Wanted = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="3,5",
        help="Make surfaces of these labels only.",
        show_default="all objects",
        rich_help_panel=SURFACES,
    ),
]
Step = Annotated[
    int,
    typer.Option(
        "--step",
        min=1,
        max=1000,
        help="Distance of samples, voxels; more gives fewer faces, coarser.",
        rich_help_panel=SURFACES,
    ),
]
Smooth = Annotated[
    int,
    typer.Option(
        "--smooth",
        min=0,
        max=1000,
        help="Taubin iterations; 0 leaves the stairs of the voxels, bevelled: volumes of small "
        "objects are then less than those of their voxels, which the table counts too.",
        rich_help_panel=SURFACES,
    ),
]
Decimate = Annotated[
    float,
    typer.Option(
        "--decimate",
        min=0.001,
        max=1,
        metavar="SHARE",
        help="Share of the faces to keep.",
        rich_help_panel=SURFACES,
    ),
]


@command(
    "embedseg mesh labels.tif -o cells.stl --spacing 2,1,1",
    "embedseg mesh labels.tif -o cells.glb --label 3,5 --decimate 0.2 --preview cells.png",
)
def mesh(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            exists=True,
            help="Label volume, zarr store, or folder of label slices.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="File to write: .stl, .ply, .obj or .glb; a table goes beside it.",
        ),
    ],
    spacing: SpacingText = None,
    wanted: Wanted = None,
    each: Annotated[
        bool,
        typer.Option(
            "--each", help="Write a file per object, into a folder.", rich_help_panel=SURFACES
        ),
    ] = False,
    step: Step = 1,
    smooth: Smooth = 15,
    decimate: Decimate = 1.0,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            "--plot",
            metavar="PNG",
            help="Draw a picture of the surfaces.",
            show_default=False,
            rich_help_panel=SURFACES,
        ),
    ] = None,
    axes: Axes = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Make closed surfaces of the objects of a label volume, in µm.

    They lie where the labels do: the translation of an OME-Zarr store is added.
    """
    from embedseg.common import check_not_inputs
    from embedseg.export import MeshOptions, check_outputs, save_surfaces
    from embedseg.images import first_pixel
    from embedseg.types import DataError

    given, asked = parse_spacing(spacing), parse_labels(wanted)
    options = MeshOptions(step=step, smooth=smooth, decimate=decimate)
    check_not_inputs(
        [output.with_suffix("") if each else output, output.with_suffix(".csv")], [labels]
    )
    check_outputs(output, each=each, preview=preview, overwrite=overwrite)
    say(f"reading {labels}")
    image = _read(labels, axes and axes.upper())
    if image.axes != "ZYX":
        raise DataError(
            f"{labels}: shape {image.data.shape} ({image.axes}), expected labels of a "
            "volume (ZYX); --axes sets the order of the axes"
        )
    rows = save_surfaces(
        output,
        image.data,
        pixel_size(image, given),
        wanted=asked,
        options=options,
        each=each,
        preview=preview,
        overwrite=overwrite,
        name=str(labels),
        progress=at_terminal(),
        spacing_known=(given or image.spacing) is not None,
        offset=first_pixel(image.scales, 3),
    )
    where = output.with_suffix("") if each else output
    show_result(
        {"output": where, "surfaces": [row._asdict() for row in rows]},
        f"{summarise(rows)} written to {where}, {output.with_suffix('.csv').name}",
        json,
    )


def _read(labels: Path, axes: str | None) -> Image:
    """Read labels from a file, a store or a folder of slices."""
    from embedseg.images import is_lazy_source, open_lazy, read_labels, read_stack

    if is_lazy_source(labels):
        return open_lazy(labels, axes).load()
    if labels.is_dir():
        return read_stack(labels, axes, as_stored=True)
    # Labels have no channels, and surfaces are those of a volume.
    return read_labels(labels, axes, unnamed="ZYX")


def parse_labels(text: str | None) -> list[int]:
    """Parse a comma-separated list of labels."""
    return list(parse_whole("--label", text, "3,5", most=2**31 - 1) or ())


def summarise(rows: list[Measures]) -> str:
    """Format the number of surfaces and faces, and of those that are capped or open."""
    faces = sum(row.faces for row in rows)
    message = f"{plural(len(rows), 'surface')} of {faces:,} faces"
    capped = sum(row.capped for row in rows)
    open_ = sum(not row.watertight for row in rows)
    if capped:
        message += f", {capped} capped at the border"
    return message + (f", {open_} not watertight" if open_ else "")

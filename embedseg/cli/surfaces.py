"""Commands that make surfaces: mesh, of labels; stack, of a stack of slices and a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.helping import SURFACES, one_of
from embedseg.cli.shared import (
    Axes,
    Device,
    Json,
    Overwrite,
    SpacingText,
    Tta,
    at_terminal,
    command,
    parse_list,
    parse_spacing,
    print_json,
    said_spacing,
)
from embedseg.types import Spacing

if TYPE_CHECKING:
    from embedseg.export import Measures
    from embedseg.images import Image
    from embedseg.segmenter import Segmenter


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
        help="Sample every so many voxels: fewer faces, coarser.",
        rich_help_panel=SURFACES,
    ),
]
Smooth = Annotated[
    int,
    typer.Option(
        "--smooth",
        min=0,
        help="Taubin iterations; 0 leaves the stairs of the voxels.",
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
            metavar="LABELS", exists=True, help="Label volume, or folder of label slices."
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
    """Make closed surfaces of the objects of a label volume, in µm."""
    from embedseg.export import MeshOptions, check_outputs, save_surfaces
    from embedseg.images import read_labels, read_stack
    from embedseg.types import DataError

    given, asked = parse_spacing(spacing), _parse_labels(wanted)
    options = MeshOptions(step=step, smooth=smooth, decimate=decimate)
    check_outputs(output, each=each, preview=preview, overwrite=overwrite)
    read = read_stack if labels.is_dir() else read_labels
    image = read(labels, axes and axes.upper())
    if image.axes != "ZYX":
        raise DataError(
            f"{labels}: shape {image.data.shape} ({image.axes}), expected labels of a "
            "volume (ZYX); --axes says what the axes are"
        )
    rows = save_surfaces(
        output,
        image.data,
        said_spacing(image, given),
        wanted=asked,
        options=options,
        each=each,
        preview=preview,
        overwrite=overwrite,
        name=str(labels),
        progress=at_terminal(),
    )
    if json:
        print_json([row._asdict() for row in rows])
    else:
        where = output.with_suffix("") if each else output
        typer.echo(f"{_summary(rows)} written to {where}, {output.with_suffix('.csv').name}")


@command(
    "embedseg stack slices/ -o result --model neurites --spacing 0.05,0.005,0.005",
    "embedseg stack stack.tif -o result --model membranes --size 512 --mesh-format glb",
)
def stack(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SLICES", exists=True, help="Folder of slices, or a file with a volume."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Folder for slices, labels, pictures, surfaces."
        ),
    ],
    model: Annotated[
        Path,
        typer.Option(
            "--model",
            metavar="MODEL",
            exists=True,
            file_okay=False,
            help="Folder of a trained model, 2D or 3D.",
        ),
    ],
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=8,
            help="Segment slices with so many pixels on the longer side.",
            show_default="as they are",
        ),
    ] = None,
    spacing: SpacingText = None,
    axes: Axes = None,
    wanted: Wanted = None,
    step: Step = 1,
    smooth: Smooth = 15,
    decimate: Decimate = 1.0,
    mesh_format: Annotated[
        str,
        typer.Option(
            "--mesh-format",
            help="stl, ply, obj or glb.",
            rich_help_panel=SURFACES,
            autocompletion=one_of("stl", "ply", "obj", "glb"),
        ),
    ] = "stl",
    no_mesh: Annotated[
        bool,
        typer.Option("--no-mesh", help="Stop when there are labels.", rich_help_panel=SURFACES),
    ] = False,
    tta: Tta = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Segment a stack of slices: a PNG per slice, a label volume, a montage and surfaces."""
    from embedseg.common import fill_folder, refuse_used
    from embedseg.data import to_values
    from embedseg.export import WRITERS, MeshOptions, check_outputs, save_surfaces
    from embedseg.images import read_stack
    from embedseg.segmenter import Segmenter

    given, asked = parse_spacing(spacing), _parse_labels(wanted)
    options = MeshOptions(step=step, smooth=smooth, decimate=decimate)
    refuse_used(output, overwrite)
    surface = output / f"surface.{mesh_format.lower().lstrip('.')}"
    if not no_mesh:
        check_outputs(surface, overwrite=True)
    segmenter = Segmenter.load(model, device)
    volume = read_stack(source, axes and axes.upper())
    steps = said_spacing(volume, given)
    known = given or volume.spacing
    labels = _segment(segmenter, volume, known, size, tta)
    colours, classes = segmenter.config.method.colours, segmenter.config.data.classes
    painted, labels = labels, to_values(labels, classes) if classes else labels
    fill_folder(
        output,
        lambda aside: _write_stack(aside, volume, labels, painted, known, colours),
        (
            "slices",
            "labels.tif",
            "montage.png",
            "surface.png",
            "surface.csv",
            *(f"surface{suffix}" for suffix in WRITERS),
        ),
    )
    typer.echo(f"{len(labels)} slices written to {output}: slices, labels.tif, montage.png")
    if not no_mesh:
        # Where this fails, what segmenting took is not lost: `embedseg mesh` goes on from there.
        rows = save_surfaces(
            surface,
            labels,
            steps,
            wanted=asked,
            options=options,
            preview=output / "surface.png",
            name=str(output / "labels.tif"),
            progress=at_terminal(),
        )
        typer.echo(f"{_summary(rows)} written to {surface}, surface.csv, surface.png")


def _segment(
    segmenter: Segmenter, volume: Image, spacing: Spacing | None, size: int | None, tta: bool
) -> Any:
    """Return the labels of a volume on its own grid, (Z, Y, X) int32."""
    from embedseg.geometry import resample_labels
    from embedseg.images import resized
    from embedseg.types import DataError

    shape = volume.data.shape[-3:]
    data = resized(volume.data, size) if size else volume.data
    if size and spacing:
        scale = [n / m for n, m in zip(shape, data.shape[-3:], strict=True)]
        spacing = tuple(s * by for s, by in zip(spacing, scale, strict=True))
    labels = segmenter.segment(
        data,
        axes=volume.axes,
        spacing=spacing,
        tta=tta or None,
        planes=True if segmenter.config.ndim == 2 else None,
        progress=at_terminal(),
    )
    if not (labels > 0).any():
        raise DataError(f"{volume.path}: no object found in {len(labels)} slices; nothing written")
    return resample_labels(labels, shape)


def _write_stack(
    folder: Path,
    volume: Image,
    labels: Any,
    painted: Any,
    spacing: Spacing | None,
    colours: Mapping[str, str],
) -> None:
    """Write what comes before surfaces into an empty folder.

    `labels` are as files have them, `painted` the same or, with their `colours`, classes.
    """
    import numpy as np

    from embedseg.images import slice_files, stem, write_labels, write_slices
    from embedseg.plots import save_montage

    path = volume.path
    assert path is not None
    names = (
        [stem(file) for file in slice_files(path)]
        if path.is_dir()
        else [f"{stem(path)}_{place:04d}" for place in range(len(labels))]
    )
    write_slices(folder / "slices", labels, names)
    write_labels(folder / "labels.tif", labels, spacing, "ZYX")
    palette = np.array([list(bytes.fromhex(colour[1:])) for colour in colours.values()], np.uint8)
    save_montage(
        folder / "montage.png", volume.data, painted, palette if colours else None, title=path.name
    )


# -- what is given and said ------------------------------------------------------------------------
def _parse_labels(text: str | None) -> list[int]:
    from embedseg.types import UsageError

    parts = parse_list(text)
    if text is not None and not (parts and all(part.isdecimal() and int(part) for part in parts)):
        raise UsageError(f"--label {text!r}: expected numbers of objects such as 3,5")
    return [int(part) for part in parts]


def _summary(rows: list[Measures]) -> str:
    """Say how many surfaces there are, and what is not as one would wish."""
    faces = sum(row.faces for row in rows)
    words = f"{len(rows)} surface{'s' * (len(rows) != 1)} of {faces:,} faces"
    capped = sum(row.capped for row in rows)
    open_ = sum(not row.watertight for row in rows)
    if capped:
        words += f", {capped} capped at the border"
    return words + (f", {open_} not watertight" if open_ else "")

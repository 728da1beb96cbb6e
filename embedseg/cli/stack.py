"""The command stack: labels and surfaces of a stack of slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, say, show_result
from embedseg.cli.help import SURFACES, one_of
from embedseg.cli.mesh import Decimate, Smooth, Step, Wanted, parse_labels, summarise
from embedseg.cli.options import (
    Axes,
    ChannelNames,
    Device,
    Json,
    Overwrite,
    SpacingText,
    Tta,
    parse_channels,
    parse_spacing,
    pixel_size,
)

if TYPE_CHECKING:
    from embedseg.images import Image
    from embedseg.segmenter import Segmenter
    from embedseg.types import Spacing

#: Files and folders that are written, besides the surfaces.
RESULTS = ("slices", "labels.tif", "montage.png", "surface.png", "surface.csv")


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
            max=2**16,
            help="Segment slices scaled to this length of the longer side, pixels.",
            show_default="as they are",
        ),
    ] = None,
    spacing: SpacingText = None,
    axes: Axes = None,
    channel: ChannelNames = None,
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
        typer.Option("--no-mesh", help="Write no surfaces.", rich_help_panel=SURFACES),
    ] = False,
    tta: Tta = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Segment a stack of slices: a PNG per slice, a label volume, a montage and surfaces."""
    import numpy as np

    from embedseg.common import check_not_inputs, check_output_folder, format_shape, write_folder
    from embedseg.data import to_mask_values
    from embedseg.export import WRITERS, MeshOptions, check_outputs, save_surfaces
    from embedseg.images import fit_channels, read_stack
    from embedseg.plots import paint_labels
    from embedseg.segmenter import Segmenter

    given, asked = parse_spacing(spacing), parse_labels(wanted)
    options = MeshOptions(step=step, smooth=smooth, decimate=decimate)
    ours = (*RESULTS, *(f"surface{suffix}" for suffix in WRITERS))
    check_not_inputs([output / name for name in ours], [source])
    check_output_folder(output, overwrite, ours)
    surface = output / f"surface.{mesh_format.lower().lstrip('.')}"
    if not no_mesh:
        check_outputs(surface, overwrite=True)
    segmenter = Segmenter.load(model, device)
    config = segmenter.config
    say(f"reading {source}")
    volume = read_stack(source, axes and axes.upper())
    volume = fit_channels(
        volume, config.channels, parse_channels(channel), config.data.channels or ()
    )
    steps = pixel_size(volume, given)
    known = given or volume.spacing
    say(f"predicting {format_shape(volume.data.shape[-3:])} voxels with {model}")
    labels = _segment(segmenter, volume, known, size, tta)
    say(f"writing {len(labels)} slices, labels.tif and montage.png to {output}")
    colours, classes = config.method.colours, config.data.classes
    painted, labels = labels, to_mask_values(labels, classes) if classes else labels
    of_classes = [bytes.fromhex(colour[1:]) for colour in colours.values()]
    palette = np.array([list(colour) for colour in of_classes], np.uint8) if colours else None
    shown = paint_labels(np.arange(2**8))
    if classes and palette is not None:
        shown = _by_value(palette, [each.values[0] for each in classes])
    write_folder(
        output,
        lambda aside: _write_stack(aside, volume, labels, painted, known, (palette, shown)),
        ours,
    )
    values: dict[str, Any] = {"output": output, "slices": len(labels)}
    message = f"{len(labels)} slices written to {output}: slices, labels.tif, montage.png"
    if not no_mesh:
        # If this fails, the labels are kept: `embedseg mesh` makes surfaces of them.
        rows = save_surfaces(
            surface,
            labels,
            steps,
            wanted=asked,
            options=options,
            preview=output / "surface.png",
            name=str(output / "labels.tif"),
            progress=at_terminal(),
            spacing_known=known is not None,
        )
        values["surfaces"] = [row._asdict() for row in rows]
        message += f"\n{summarise(rows)} written to {surface}, surface.csv, surface.png"
    show_result(values, message, json)


def _segment(
    segmenter: Segmenter, volume: Image, spacing: Spacing | None, size: int | None, tta: bool
) -> Any:
    """Return the labels of a volume on its own grid, (Z, Y, X) int32."""
    from embedseg.common import format_shape
    from embedseg.geometry import resample_labels
    from embedseg.images import resize_slices
    from embedseg.labels import relabel
    from embedseg.types import DataError

    shape = volume.data.shape[-3:]
    data = resize_slices(volume.data, size) if size else volume.data
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
    if labels.shape == shape:
        return labels
    say(f"joining the labels to slices of {format_shape(shape[1:])} pixels")
    labels = resample_labels(labels, shape)
    return labels if segmenter.config.data.classes else relabel(labels)


def _by_value(colours: Any, values: Sequence[int]) -> Any:
    """Return the colour of each value of masks, (256, 3): those of classes, and 0 is black."""
    import numpy as np

    table = np.zeros((2**8, 3), np.uint8)
    for value, colour in zip(values, colours, strict=True):
        if 0 < value < len(table):
            table[value] = colour
    return table


def _write_stack(
    folder: Path,
    volume: Image,
    labels: Any,
    painted: Any,
    spacing: Spacing | None,
    colours: tuple[Any, Any],
) -> None:
    """Write slices, labels and montage into an empty folder.

    `labels` are as files have them, `painted` the same or classes; `colours` are those of classes,
    if there are any, and those of the values in files.
    """
    from embedseg.images import find_slices, stem, write_labels, write_slices
    from embedseg.plots import save_montage

    path = volume.path
    assert path is not None
    names = (
        [stem(file) for file in find_slices(path)]
        if path.is_dir()
        else [f"{stem(path)}_{place:04d}" for place in range(len(labels))]
    )
    write_slices(folder / "slices", labels, names, colours[1])
    write_labels(folder / "labels.tif", labels, spacing, "ZYX")
    save_montage(folder / "montage.png", volume.data, painted, colours[0], title=path.name)

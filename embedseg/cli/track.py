"""The command track: one number per object through a label film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.beside import (
    LIMITS,
    describe_tracks,
    list_beside,
    parse_formats,
    tracks_table,
)
from embedseg.cli.console import say, show_result
from embedseg.cli.help import objects
from embedseg.cli.options import Axes, Json, Overwrite, SpacingText, parse_spacing, pixel_size
from embedseg.cli.outputs import check_against_inputs, list_inputs

if TYPE_CHECKING:
    from embedseg.images import Image


@command(
    "embedseg track labels.tif -o tracked.tif",
    "embedseg track labels.tif -o tracked.tif --also trackmate,ctc --max-distance 20",
)
def track(
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS", exists=True, help="Label film: a file or store with a time axis."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Label film to write, .tif; beside it the table of tracks, <stem>_tracks.csv.",
        ),
    ],
    also_as: Annotated[
        str | None,
        typer.Option(
            "--also",
            metavar="FORMAT,...",
            help="Write tracks beside it too: trackmate (.xml), ctc (.ctc, a folder of the Cell "
            "Tracking Challenge); or objects: roi, geojson, csv, coco.",
            show_default=False,
            autocompletion=objects,
        ),
    ] = None,
    max_distance: Annotated[
        float | None,
        typer.Option(
            "--max-distance",
            min=1e-6,
            max=1e6,
            metavar="DISTANCE",
            help="Largest distance of an object from frame to frame, µm.",
            show_default="the diameter of the median object",
        ),
    ] = None,
    spacing: SpacingText = None,
    axes: Axes = None,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Link the objects of a label film through time: one number each, and a table of divisions.

    `embedseg predict --track` does so right after segmenting.
    """
    from embedseg.common import check_output_file
    from embedseg.export import Objects, check_export, export_objects
    from embedseg.images import write_labels
    from embedseg.tracking import check_tracker, link_frames, write_tracks
    from embedseg.types import UsageError

    if output.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{output}: label films end with .tif")
    given, formats = parse_spacing(spacing), parse_formats(also_as, tracks=True)
    check_tracker()
    exported, table = list_beside(output, formats), tracks_table(output)
    check_against_inputs([*exported, table], list_inputs({"labels": labels}))
    check_output_file(table, overwrite)
    for path, kind in zip(exported, formats, strict=True):
        check_export(path, kind, overwrite=overwrite)
    film = _read_film(labels, axes and axes.upper())
    sizes, known = pixel_size(film, given), (given or film.spacing) is not None
    found = link_frames(film.data, sizes, max_distance=max_distance)
    linked = Objects(
        found.labels, sizes, labels.name, spacing_known=known, film=True, tracks=found.tracks
    )
    for path, kind in zip(exported, formats, strict=True):
        export_objects(path, linked, kind, overwrite=overwrite)
    write_tracks(table, found.tracks)
    write_labels(output, found.labels, given or film.spacing, film.axes)
    say(LIMITS)
    values = {
        "output": output,
        "table": table,
        "tracks": len(found.tracks),
        "divisions": len({track.parent for track in found.tracks if track.parent}),
        "max_distance": found.max_distance,
        "unit": "µm" if known else "pixels",
    }
    message = f"{describe_tracks(found, known)} written to {output} and {table}"
    show_result(values, message, json)


def _read_film(source: Path, axes: str | None) -> Image:
    """Read a label film, with time as the first axis."""
    from dataclasses import replace

    from embedseg.images import is_lazy_source, open_lazy, read_labels
    from embedseg.types import DataError, check_labels

    if is_lazy_source(source):
        film = open_lazy(source, axes).load()
        film = replace(film, data=check_labels(film.data, name=str(source)))
    else:
        film = read_labels(source, axes)
    if film.axes not in ("TYX", "TZYX"):
        raise DataError(
            f"{source}: shape {film.data.shape} ({film.axes}), expected labels of a film (TYX or "
            "TZYX); --axes sets the order of the axes"
        )
    return film

"""The command predict: label images of new images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from embedseg.cli.app import command
from embedseg.cli.beside import parse_formats
from embedseg.cli.console import command_line
from embedseg.cli.help import READING, TIDYING, WRITTEN, objects
from embedseg.cli.options import (
    Axes,
    ChannelNames,
    ClearBorder,
    Device,
    FillHoles,
    Json,
    LargestPiece,
    MinSize,
    Model,
    Overwrite,
    Planes,
    Settings,
    SpacingText,
    Tta,
    parse_channels,
    parse_list,
    parse_settings,
    parse_spacing,
    tidying_options,
)
from embedseg.cli.predict_blocks import (
    BlockSize,
    DryRun,
    Halo,
    Level,
    Memory,
    Scheduler,
    Threads,
    Workers,
    block_options,
)
from embedseg.cli.predict_files import predict_files
from embedseg.cli.predict_request import PredictRequest
from embedseg.cli.predict_stores import predict_in_blocks


@command(
    "embedseg predict nuclei new_images/ -o labels",
    "embedseg predict nuclei 'day*/*.tif' -o labels --set method.seed_threshold=0.8",
    "embedseg predict nuclei new_images/ -o labels --also roi,csv --clear-border",
    "embedseg predict neuropil slices/ -o classes --pieces mitochondria --min-size 50",
    "embedseg predict nuclei brain.zarr -o cells.zarr --workers 4",
)
def predict(
    context: typer.Context,
    model: Model,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Image files, stores, folders or patterns."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Folder for the label images, <stem>.tif, of images from several folders with "
            "these; in blocks *.zarr, IMAGE.zarr/labels/NAME or *.tif, or a folder for "
            "<stem>.zarr; of a plate a folder, or PLATE.zarr/labels/NAME.",
        ),
    ],
    tta: Tta = False,
    planes: Planes = False,
    spacing: SpacingText = None,
    axes: Axes = None,
    channel: ChannelNames = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Segment a time axis frame by frame; --axes with a T does so too.",
            rich_help_panel=READING,
        ),
    ] = False,
    track: Annotated[
        bool,
        typer.Option(
            "--track",
            help="Segment frame by frame and link objects through time: one number each, and the "
            "table <stem>_tracks.csv; as `embedseg track`, which has more options.",
            rich_help_panel=WRITTEN,
        ),
    ] = False,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="Also write the maps that the net predicts, such as class probabilities, as "
            "float32 into OUT/maps, <stem>_<map>.tif, in the model's pixels.",
            rich_help_panel=WRITTEN,
        ),
    ] = False,
    plot: Annotated[
        bool,
        typer.Option(
            "--plot",
            help="Draw objects and maps too, into OUT/plots, <stem>.png and <stem>_maps.png.",
            rich_help_panel=WRITTEN,
        ),
    ] = False,
    pieces: Annotated[
        str | None,
        typer.Option(
            "--pieces",
            metavar="CLASS,...",
            help="With a model of classes: also number the connected pieces of a class as "
            "objects, into OUT/CLASS.",
            show_default=False,
            rich_help_panel=WRITTEN,
        ),
    ] = None,
    also_as: Annotated[
        str | None,
        typer.Option(
            "--also",
            metavar="FORMAT,...",
            help="Write objects beside the labels too: roi (ImageJ), "
            "geojson (QuPath), csv (measures), coco, ome-zarr; with --track also trackmate, ctc.",
            show_default=False,
            rich_help_panel=WRITTEN,
            autocompletion=objects,
        ),
    ] = None,
    largest_piece: LargestPiece = False,
    fill_holes: FillHoles = False,
    min_size: MinSize = 0,
    clear_border: ClearBorder = False,
    min_score: Annotated[
        float,
        typer.Option(
            "--min-score",
            min=0,
            max=1,
            help="Drop objects with a lower score: the probability, "
            "learned on the validation images, that an object is a true one.",
            rich_help_panel=TIDYING,
        ),
    ] = 0.0,
    block: BlockSize = None,
    halo: Halo = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    threads: Threads = None,
    memory: Memory = None,
    level: Level = None,
    dry_run: DryRun = False,
    settings: Settings = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Segment images into label images; existing ones of the same model and settings are skipped.

    OUT/report.html shows what was found.

    Images of any size, among them OME-Zarr, are segmented in blocks, by one process or many; an
    interrupted run resumes. So are all fields of a plate.
    """
    changes = parse_settings(settings)
    if min_score:
        changes["method.min_score"] = str(min_score)
    request = PredictRequest(
        model=model,
        device=device,
        changes=changes,
        inputs=inputs,
        axes=axes and axes.upper(),
        channels=parse_channels(channel),
        spacing=parse_spacing(spacing),
        frames=frames,
        track=track,
        tta=tta,
        planes=planes,
        output=output,
        overwrite=overwrite,
        maps=maps,
        plot=plot,
        pieces=parse_list(pieces),
        formats=parse_formats(also_as, track),
        tidy=tidying_options(largest_piece, fill_holes, min_size, clear_border),
        blocks=block_options(block, halo, workers, scheduler, threads, memory),
        level=level,
        dry_run=dry_run,
        command=command_line(context),
        json=json,
    )
    if request.in_blocks:
        predict_in_blocks(request)
    else:
        predict_files(request)

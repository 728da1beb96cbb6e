"""Commands that use a model: predict, demo."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from embedseg.cli.blocks import (
    Blocks,
    BlockSize,
    DryRun,
    Halo,
    Level,
    Memory,
    Scheduler,
    Threads,
    Workers,
    in_blocks_instead,
    predict_in_blocks,
    too_large,
)
from embedseg.cli.converting import parse_formats, write_beside
from embedseg.cli.helping import READING, TIDYING, WRITTEN, objects
from embedseg.cli.pictures import plot_found, write_maps
from embedseg.cli.shared import (
    Axes,
    ClearBorder,
    Device,
    FillHoles,
    LargestPiece,
    MinSize,
    Model,
    Overwrite,
    Planes,
    Settings,
    SpacingText,
    Tta,
    at_terminal,
    check_fit,
    command,
    explain_error,
    parse_list,
    parse_settings,
    parse_spacing,
    say,
    typed,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedseg.labels import CleanOptions
    from embedseg.report import Gallery
    from embedseg.segmenter import Segmenter

log = logging.getLogger("embedseg")


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
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders or patterns.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Folder for the label images, <stem>.tif; in blocks "
            "*.zarr, IMAGE.zarr/labels/NAME or *.tif.",
        ),
    ],
    tta: Tta = False,
    planes: Planes = False,
    spacing: SpacingText = None,
    axes: Axes = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Segment a time axis frame by frame; --axes with a T says so too.",
            rich_help_panel=READING,
        ),
    ] = False,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="Also write what the net predicts, such as class probabilities, as float32 "
            "into OUT/maps, <stem>_<map>.tif, in the model's pixels.",
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
            help="Of a model of classes: number the connected pieces "
            "of a class as objects too, into OUT/CLASS.",
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
            "geojson (QuPath), csv (measures), coco, ome-zarr.",
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
            help="Leave out objects with a lower score: the probability, "
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
    level: Level = 0,
    dry_run: DryRun = False,
    settings: Settings = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Segment images into label images; what is there already is skipped.

    OUT/report.html shows what was found.

    Images of any size, among them OME-Zarr, are segmented in blocks, by one process or many; what
    was cut off goes on.
    """
    from embedseg.images import expand_inputs, stem
    from embedseg.labels import CleanOptions
    from embedseg.report import Gallery, prediction_report
    from embedseg.segmenter import Segmenter
    from embedseg.types import DataError, UsageError

    size, changes = parse_spacing(spacing), parse_settings(settings)
    formats, tidy = (
        parse_formats(also_as),
        CleanOptions(
            largest_piece=largest_piece,
            fill_holes=fill_holes,
            min_size=min_size,
            clear_border=clear_border,
        ),
    )
    if min_score:
        changes["method.min_score"] = str(min_score)
    blocks = Blocks(block, halo, workers, scheduler, threads, memory, level, dry_run)
    if blocks.wanted(inputs, output):
        if maps or plot or pieces or frames or formats or tidy != CleanOptions():
            raise UsageError(
                "--maps, --plot, --pieces, --frames, --also and what tidies objects "
                "are not for images in blocks"
            )
        if tta or planes:
            changes |= {"predict.tta": str(tta).lower(), "predict.planes": str(planes).lower()}
        predict_in_blocks(
            Segmenter.load(model, device).with_options(changes),
            inputs,
            output,
            blocks,
            axes=axes and axes.upper(),
            spacing=size,
            overwrite=overwrite,
        )
        return
    files = {path: output / f"{stem(path)}.tif" for path in expand_inputs(inputs)}
    _refuse_replaced(files)
    missing = [path for path in files if overwrite or not files[path].exists()]
    if len(missing) < len(files):
        say(f"{len(files) - len(missing)} of {len(files)} are there already and skipped")
    if not missing:
        return
    segmenter = Segmenter.load(model, device).with_options(changes)
    also = _Also(
        output / "maps" if maps else None,
        output / "plots" if plot else None,
        _class_folders(segmenter, pieces, output),
        tidy,
        formats,
        Gallery(segmenter.config.method),
    )
    output.mkdir(parents=True, exist_ok=True)
    bad = []
    for number, path in enumerate(missing, 1):
        begun = time.monotonic()
        try:
            found = _predict_file(
                segmenter,
                path,
                files[path],
                also,
                axes=axes and axes.upper(),
                spacing=size,
                frames=frames,
                tta=tta or None,
                planes=planes or None,
            )
        except UsageError:
            raise
        except Exception as error:  # whatever is wrong with one file must not cost the others
            log.debug("%s", path, exc_info=True)
            say(f"[{number}/{len(missing)}] {path}: failed")
            explain_error(error)
            bad.append(path)
        else:
            say(
                f"[{number}/{len(missing)}] {path.name}: {found} ({time.monotonic() - begun:.1f} s)"
            )
    prediction_report(
        output / "report.html",
        segmenter,
        also.gallery,
        title=f"Found by {model.name}",
        folder=model,
        failed=len(bad),
        skipped=len(files) - len(missing),
        command=typed(context),
    )
    typer.echo(f"{len(missing) - len(bad)} label images written to {output}")
    if bad:
        raise DataError(
            f"{len(bad)} of {len(missing)} files failed: "
            + ", ".join(path.name for path in bad[:5])
            + " ..." * (len(bad) > 5)
        )


def _refuse_replaced(files: dict[Path, Path]) -> None:
    """See that no input is written over; that no two share an output is seen on expanding."""
    from embedseg.types import UsageError

    inputs = {path.resolve() for path in files}
    for path, target in files.items():
        if target.resolve() in inputs:
            raise UsageError(
                f"{path}: its labels would replace the image {target}; "
                "choose another folder with -o"
            )


class _Also(NamedTuple):
    """What is kept beside the labels.

    Folders of maps and of pictures, pieces of classes (index and folder), formats of objects, what
    the report shows.
    """

    maps: Path | None
    plots: Path | None
    pieces: dict[int, Path]
    tidy: CleanOptions
    formats: tuple[str, ...]
    gallery: Gallery


def _class_folders(segmenter: Segmenter, text: str | None, output: Path) -> dict[int, Path]:
    from embedseg.types import UsageError

    names = list(segmenter.config.method.colours)
    for name in parse_list(text):
        if name not in names:
            raise UsageError(
                f"--pieces {name}: the model knows "
                + (f"the classes {', '.join(names)}" if names else "no classes, it finds objects")
            )
    return {names.index(name): output / name for name in parse_list(text)}


def _predict_file(
    segmenter: Segmenter,
    path: Path,
    target: Path,
    also: _Also,
    *,
    axes: str | None,
    spacing: tuple[float, ...] | None,
    frames: bool,
    tta: bool | None,
    planes: bool | None,
) -> str:
    """Segment one file and say what was found."""
    from embedseg.labels import CleanOptions

    more = (
        also.maps
        or also.plots
        or also.pieces
        or also.formats
        or also.tidy != CleanOptions()
        or frames
        or planes
    )
    if not more and too_large(segmenter, path, axes, spacing):
        return in_blocks_instead(segmenter, path, target, axes, spacing)
    return _predict_image(
        segmenter,
        path,
        target,
        also,
        axes=axes,
        spacing=spacing,
        frames=frames,
        tta=tta,
        planes=planes,
    )


def _predict_image(
    segmenter: Segmenter,
    path: Path,
    target: Path,
    also: _Also,
    *,
    axes: str | None,
    spacing: tuple[float, ...] | None,
    frames: bool,
    tta: bool | None,
    planes: bool | None,
) -> str:
    from embedseg.data import to_values
    from embedseg.images import read_image, stem, write_labels
    from embedseg.labels import tidied
    from embedseg.types import DataError

    image = read_image(path, axes)
    if "T" in image.axes and not frames and "T" not in (axes or ""):
        raise DataError(f"{path}: has a time axis ({image.axes}); --frames segments each frame")
    if "T" in image.axes and also.plots:
        raise DataError(f"{path}: has a time axis ({image.axes}), --plot is for images and volumes")
    check_fit(segmenter, image.axes, planes, path)
    spacing = spacing or image.spacing
    if spacing is None and segmenter.config.spacing_known:
        log.info("%s: no spacing in the file, taken to have the model's", path.name)
    options: dict[str, Any] = {
        "axes": image.axes,
        "spacing": spacing,
        "tta": tta,
        "planes": planes,
        "progress": at_terminal(),
    }
    predicted = None
    # Planes may be segmented one by one, without maps of the whole.
    if also.maps or (also.plots and not planes):
        predicted = segmenter.predict(image.data, **options)
        segmented = segmenter.on_grid(predicted, image.data.shape[-len(predicted.spacing) :])
        if also.maps:
            write_maps(
                predicted,
                also.maps,
                stem(path),
                segmenter.config.spacing_known,
                tuple(segmenter.config.method.colours),
            )
    else:
        segmented = segmenter.find(image.data, **options)
    space, classes = image.axes.replace("C", ""), segmenter.config.data.classes
    if not classes:
        segmented = tidied(segmented, also.tidy, frames="T" in space)
    labels = segmented.labels
    for index, folder in also.pieces.items():
        write_labels(
            folder / target.name, _pieces(labels == index, also.tidy, "T" in space), spacing, space
        )
    written = to_values(labels, classes) if classes else labels
    for kind in also.formats:
        write_beside(target, kind, image, replace(segmented, labels=written), spacing)
    if also.plots:
        plot_found(also.plots, stem(path), image, labels, predicted, segmenter)
    # Last: what is there counts as done.
    write_labels(target, written, spacing, space)
    also.gallery.add_frames(image, segmented, spacing)
    return segmenter.config.method.found(list(labels) if "T" in image.axes else [labels])


def _pieces(mask: NDArray[Any], tidy: CleanOptions, frames: bool) -> NDArray[Any]:
    """Return the connected pieces of a mask, or of each of its frames, numbered."""
    import numpy as np

    from embedseg.labels import clean, relabel, split_pieces

    if frames:
        return np.stack([_pieces(frame, tidy, False) for frame in mask])
    return relabel(clean(split_pieces(mask.astype(np.int32)), tidy))


# -- demo ------------------------------------------------------------------------------------------
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
) -> None:
    """Train on the images that come with the package, and segment the ones held back."""
    from embedseg.common import refuse_used
    from embedseg.demo import demo
    from embedseg.scoring import object_table

    refuse_used(output, overwrite)
    summary = demo(output, ndim=ndim, time_limit=time_limit, device=device)
    typer.echo(object_table(summary))
    typer.echo(
        f"\n{output}: scores.json, labels, and in overlays a picture of every image\n"
        "\nNext, with your own images:\n"
        f"  embedseg predict {output / 'model'} IMAGES -o labels\n"
        "  embedseg train MY_DATA -o my_model --time-limit 15m"
    )

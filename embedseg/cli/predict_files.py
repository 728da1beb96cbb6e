"""Prediction of files one by one, with what is written beside the labels."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from embedseg.cli.beside import LIMITS, describe_tracks, list_beside, tracks_table
from embedseg.cli.collecting import importing
from embedseg.cli.console import at_terminal, explain_error, say, show_result
from embedseg.cli.options import check_axes, check_spacing
from embedseg.cli.outputs import Inputs, check_against_inputs, list_inputs
from embedseg.cli.plots import plot_prediction, write_maps
from embedseg.cli.predict_blocks import (
    in_blocks_instead,
    open_divisible,
    refuse_failed,
    too_large,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedseg.cli.predict_request import PredictRequest
    from embedseg.images import Image, LazyImage
    from embedseg.labels import CleanOptions
    from embedseg.report import Gallery
    from embedseg.segmenter import Segmenter
    from embedseg.tracking import Tracked
    from embedseg.types import Maps, Segmentation

log = logging.getLogger("embedseg")


class _Job(NamedTuple):
    """A request with its model, the folders of pieces by class, and the images of the report.

    `origin` is what labels are made with, but for their image. `names` has the path of what is
    written for each file, below a folder and without suffix.
    """

    request: PredictRequest
    names: Mapping[Path, Path]
    segmenter: Segmenter
    pieces: dict[int, Path]
    gallery: Gallery
    origin: dict[str, Any]


def predict_files(request: PredictRequest) -> None:
    """Segment the files that have no labels yet, and write a report."""
    from embedseg.common import check_output_folder
    from embedseg.images import check_origin, expand_inputs, identify_image, name_outputs
    from embedseg.types import DataError, UsageError

    with importing():
        from embedseg.report import Gallery, write_prediction_report

    output = request.output
    check_output_folder(output, True)
    found = expand_inputs(request.inputs)
    names = dict(zip(found, name_outputs(found), strict=True))
    files = {path: output / f"{name}.tif" for path, name in names.items()}
    inputs = _list_inputs(request, files)
    check_against_inputs([output], inputs, folder=True)
    check_against_inputs(files.values(), inputs)
    kept = {
        path: target for path, target in files.items() if not request.overwrite and target.exists()
    }
    missing, skipped = [path for path in files if path not in kept], len(kept)
    _check_existing(kept, request.axes)
    segmenter = request.load_model()
    origin = request.origin(segmenter)
    for path, target in kept.items():
        check_origin(target, {"image": identify_image(path), **origin})
    if skipped:
        say(f"{skipped} of {len(files)} have labels already and are skipped")
    if request.track and not all(tracks_table(target).exists() for target in kept.values()):
        say("some of them have no tracks: `embedseg track` links the labels")
    if not missing:
        nothing: dict[str, Any] = {"written": [], "failed": [], "skipped": skipped}
        show_result(nothing, f"0 label images written to {output}", request.json)
        return
    if request.track:
        from embedseg.tracking import check_tracker

        check_tracker()
        if segmenter.config.data.classes:
            raise UsageError("--track: the model finds classes, no objects to link")
    folders = _class_folders(segmenter, request.pieces, output)
    job = _Job(request, names, segmenter, folders, Gallery(segmenter.config.method), origin)
    _check_beside(job, {path: files[path] for path in missing}, inputs)
    failed = [
        path
        for number, path in enumerate(missing, 1)
        if not _try_file(job, path, files[path], f"[{number}/{len(missing)}]")
    ]
    reported = write_prediction_report(
        output / "report.html",
        segmenter,
        job.gallery,
        title=f"Found by {request.model.name}",
        folder=request.model,
        failed=len(failed),
        skipped=skipped,
        command=request.command,
    )
    if request.track:
        say(LIMITS)
    written = [files[path] for path in missing if path not in failed]
    show_result(
        {"written": written, "skipped": skipped, "failed": failed},
        f"{len(written)} label images written to {output}",
        request.json,
    )
    refuse_failed("files", [_shown(job, path) for path in failed], len(missing))
    if not reported:
        raise DataError(f"{output / 'report.html'}: not written, as said above; the labels are")


def _list_inputs(request: PredictRequest, files: Iterable[Path]) -> Inputs:
    """Return all files that are read, and the folders that they and the model are in."""
    from embedseg.images import split_container

    inputs = list_inputs({"model": request.model})
    folders = [path for path in map(Path, request.inputs) if path.is_dir()]
    return Inputs(
        [*inputs.read, *(split_container(path)[0] for path in files)],
        [*inputs.around, *folders],
    )


def _check_existing(files: Mapping[Path, Path], axes: str | None) -> None:
    """Check that label images that exist are whole, and of their images' shapes.

    Raises
    ------
    UsageError
        If one is not: it may be damaged, or no file of this package.
    """
    from embedseg.images import open_lazy
    from embedseg.types import DataError, UsageError

    for path, target in files.items():
        try:
            found = _lengths(open_lazy(target))
        except DataError as error:
            raise UsageError(f"{error}; remove it to have it made again, or --overwrite") from error
        try:
            image = open_lazy(path, axes)
            # The level that they are of depends on the model.
            levels = [image, *(open_lazy(path, axes, None, n) for n in range(1, image.levels))]
        except (DataError, UsageError):  # an image that is only read as a whole
            continue
        expected = _lengths(image)
        if found not in map(_lengths, levels):
            raise UsageError(
                f"{target}: has {_format_lengths(found)}, expected {_format_lengths(expected)} as "
                f"{path}; remove it to have it made again, or --overwrite"
            )


def _lengths(image: LazyImage) -> dict[str, int]:
    """Return the lengths of axes that labels have too, but for those of 1."""
    pairs = zip(image.axes, image.shape, strict=True)
    return {axis: length for axis, length in pairs if axis != "C" and length > 1}


def _format_lengths(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{axis} {length}" for axis, length in lengths.items()) or "one pixel"


def _check_beside(job: _Job, files: Mapping[Path, Path], inputs: Inputs) -> None:
    """Check what is written beside the labels of some files, before any is segmented."""
    from embedseg.common import check_output_file
    from embedseg.export import EXPORTERS, check_export
    from embedseg.types import UsageError

    overwrite = job.request.overwrite
    written: dict[Path, Path] = {}
    for path, target in files.items():
        for each in (target, *_list_beside(job, path, target)):
            if (other := written.setdefault(each, path)) is not path:
                raise UsageError(f"{each}: would be written for {other} and for {path}")
        for kind in job.request.formats:
            check_export(target.with_suffix(EXPORTERS[kind].suffix), kind, overwrite=overwrite)
        for file in _other_files(job, path):
            check_output_file(file, overwrite)
        check_against_inputs(_list_beside(job, path, target), inputs)


def _list_beside(job: _Job, path: Path, target: Path) -> list[Path]:
    """Return all that may be written for a file besides its labels."""
    return [*list_beside(target, job.request.formats), *_other_files(job, path)]


def _shown(job: _Job, path: Path) -> str:
    """Return what a file is called in messages: its name below the common folder."""
    return str(job.names[path].parent / path.name)


def _other_files(job: _Job, path: Path) -> list[Path]:
    """Return the files with pieces of classes, tracks, maps and pictures."""
    request, config, name = job.request, job.segmenter.config, job.names[path]
    found = [folder / f"{name}.tif" for folder in job.pieces.values()]
    if request.track:
        found.append(tracks_table(request.output / f"{name}.tif"))
    if request.maps:
        specs = config.method.maps(config.ndim)
        found += [request.output / "maps" / f"{name}_{spec.name}.tif" for spec in specs]
    if request.plot:
        found += [request.output / "plots" / f"{name}{more}.png" for more in ("", "_maps")]
    return found


def _class_folders(segmenter: Segmenter, classes: list[str], output: Path) -> dict[int, Path]:
    from embedseg.types import UsageError

    names = list(segmenter.config.method.colours)
    for name in classes:
        if name not in names:
            raise UsageError(
                f"--pieces {name}: the model knows "
                + (f"the classes {', '.join(names)}" if names else "no classes, it finds objects")
            )
    return {names.index(name): output / name for name in classes}


# -- one file --------------------------------------------------------------------------------------
def _try_file(job: _Job, path: Path, target: Path, place: str) -> bool:
    """Segment a file and print what was found, or what is wrong with it; return success."""
    from embedseg.common import lock_output
    from embedseg.images import check_origin, identify_image

    with lock_output(target):
        # Since the first look at the folder, another process may have made them.
        if not job.request.overwrite and target.exists():
            check_origin(target, {"image": identify_image(path), **job.origin})
            say(f"{place} {_shown(job, path)}: made meanwhile by another process")
            return True
        return _try_alone(job, path, target, place)


def _try_alone(job: _Job, path: Path, target: Path, place: str) -> bool:
    """Segment a file that no other process segments; see `_try_file`."""
    from embedseg.common import disk_is_full
    from embedseg.types import UsageError

    begun = time.monotonic()
    made = [each for each in _list_beside(job, path, target) if not each.exists()]
    try:
        message = _predict_file(job, path, target)
    except Exception as error:  # a bad file must not cost the others
        # Otherwise they would be in the way of the next run.
        for each in made:
            shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
        if isinstance(error, UsageError) or disk_is_full(error):
            raise
        log.debug("%s", path, exc_info=True)
        say(f"{place} {path}: failed")
        explain_error(error)
        return False
    say(f"{place} {_shown(job, path)}: {message} ({time.monotonic() - begun:.1f} s)")
    return True


def _predict_file(job: _Job, path: Path, target: Path) -> str:
    """Segment a file, as a whole if it fits into memory; return what was found."""
    request, segmenter = job.request, job.segmenter
    lazy = open_divisible(request, segmenter, path)
    whole = request.needs_whole_images or request.planes
    if lazy is not None and not whole and too_large(request, segmenter, lazy):
        target.parent.mkdir(parents=True, exist_ok=True)
        return in_blocks_instead(request, segmenter, path, target)
    pyramid = lazy if lazy is not None and lazy.levels > 1 else None
    return _predict_image(job, path, target, pyramid)


def _predict_image(job: _Job, path: Path, target: Path, pyramid: LazyImage | None) -> str:
    """Segment a file as a whole; return what was found."""
    from embedseg.data import to_mask_values
    from embedseg.images import identify_image, label_axes, write_labels
    from embedseg.labels import clean_segmentation

    request, segmenter, name = job.request, job.segmenter, str(job.names[path])
    image = _read_image(job, path, pyramid)
    spacing = request.spacing or image.spacing
    maps, segmentation = _segment(job, image, spacing)
    if request.maps and maps is not None:
        write_maps(
            maps,
            request.output / "maps",
            name,
            segmenter.config.spacing_known,
            tuple(segmenter.config.method.colours),
        )
    space, classes = label_axes(image.axes), segmenter.config.data.classes
    if not classes:
        segmentation = clean_segmentation(segmentation, request.tidy, frames="T" in space)
    labels = segmentation.labels
    for index, folder in job.pieces.items():
        pieces = _pieces(labels == index, request.tidy, "T" in space)
        write_labels(folder / f"{name}.tif", pieces, spacing, space)
    tracked = None
    if request.track:
        from embedseg.tracking import link_frames, write_tracks

        tracked = link_frames(labels, _sizes(image, spacing))
    written = to_mask_values(labels, classes) if classes else labels
    written = tracked.labels if tracked else written
    for kind in request.formats:
        _write_beside(target, kind, image, replace(segmentation, labels=written), spacing, tracked)
    if tracked:
        write_tracks(tracks_table(target), tracked.tracks)
    if request.plot:
        plot_prediction(request.output / "plots", name, image, labels, maps, segmenter)
    # Last: a file with labels counts as done.
    origin = {"image": identify_image(path), **job.origin}
    write_labels(target, written, spacing, space, origin=origin)
    job.gallery.add_frames(name, image, segmentation, spacing)
    found = segmenter.config.method.describe(list(labels) if "T" in image.axes else [labels])
    return f"{found}, {describe_tracks(tracked, spacing is not None)}" if tracked else found


def _read_image(job: _Job, path: Path, pyramid: LazyImage | None) -> Image:
    """Read an image, and check that its axes are those of the request and of the model.

    `pyramid` is the level of a pyramid that is read.
    """
    from embedseg.images import fit_channels, read_image
    from embedseg.model import check_pixel_size
    from embedseg.types import DataError, UsageError

    request, segmenter = job.request, job.segmenter
    config = segmenter.config
    image = read_image(path, request.axes) if pyramid is None else pyramid.load()
    image = fit_channels(image, config.channels, request.channels, config.data.channels or ())
    if request.track and "T" not in image.axes:
        raise DataError(f"{path}: has no time axis ({image.axes}), --track is for films")
    if "T" in image.axes and not request.by_frame:
        raise DataError(f"{path}: has a time axis ({image.axes}); --frames segments each frame")
    if "T" in image.axes and request.plot:
        raise DataError(f"{path}: has a time axis ({image.axes}), --plot is for images and volumes")
    flat = "Z" in image.axes and image.data.shape[image.axes.index("Z")] == 1
    check_axes(segmenter, image.axes, request.planes, path, flat=flat)
    check_spacing(request.spacing, image.axes, path)
    if (request.spacing or image.spacing) is None and segmenter.config.spacing_known:
        log.info("%s: no spacing in the file, taken to have the model's", path.name)
    try:
        check_pixel_size(
            segmenter.predictor, request.spacing or image.spacing, str(path), warn=False
        )
    except UsageError as error:
        if request.spacing:
            raise
        # The file is wrong, not the request: others may be right.
        raise DataError(str(error)) from error
    return image


# numba imports half of itself with the first function; what is made here holds no cycles.
@importing()
def _segment(
    job: _Job, image: Image, spacing: tuple[float, ...] | None
) -> tuple[Maps | None, Segmentation]:
    """Return the segmentation of an image, and its maps if they are asked for."""
    request, segmenter = job.request, job.segmenter
    options: dict[str, Any] = {
        "axes": image.axes,
        "spacing": spacing,
        "tta": request.tta or None,
        "planes": request.planes or None,
        "progress": at_terminal(),
    }
    # Planes may be segmented one by one, without maps of the whole.
    if not (request.maps or (request.plot and not request.planes)):
        return None, segmenter.segment_objects(image.data, **options)
    maps = segmenter.predict(image.data, **options)
    return maps, segmenter.decode(maps, image.data.shape[-len(maps.spacing) :])


def _pieces(mask: NDArray[Any], tidy: CleanOptions, frames: bool) -> NDArray[Any]:
    """Return the connected pieces of a mask, or of each of its frames, numbered."""
    import numpy as np

    from embedseg.labels import clean, relabel, split_pieces

    if frames:
        return np.stack([_pieces(frame, tidy, False) for frame in mask])
    return relabel(clean(split_pieces(mask.astype(np.int32)), tidy))


# -- other formats ---------------------------------------------------------------------------------
def _sizes(image: Image, spacing: tuple[float, ...] | None) -> tuple[float, ...]:
    """Return the spacing, 1 where it is not known."""
    from embedseg.images import space_axes

    return spacing or (1.0,) * len(space_axes(image.axes))


def _write_beside(
    target: Path,
    kind: str,
    image: Image,
    segmentation: Segmentation,
    spacing: tuple[float, ...] | None,
    tracked: Tracked | None,
) -> None:
    """Write the objects of an image in a format, beside its labels and with their name."""
    import numpy as np

    from embedseg.export import EXPORTERS, Objects, export_objects

    film = "T" in image.axes
    table = segmentation.objects
    scores = table["score"].tolist() if table is not None else []
    objects = Objects(
        segmentation.labels,
        _sizes(image, spacing),
        image.path.name if image.path else target.name,
        dict(enumerate(scores, 1)),
        image.data if "C" in image.axes else np.expand_dims(image.data, int(film)),
        image.channels,
        spacing_known=spacing is not None,
        film=film,
        tracks=tracked.tracks if tracked else None,
    )
    # Checked before.
    export_objects(target.with_suffix(EXPORTERS[kind].suffix), objects, kind, overwrite=True)

"""Prediction in blocks: of an image, of several, and of the fields of plates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from embedseg.cli.console import explain_error, say, show_result
from embedseg.cli.predict_blocks import print_estimate, print_result, refuse_failed, segment_source

if TYPE_CHECKING:
    from embedseg.cli.predict_request import PredictRequest
    from embedseg.segmenter import Segmenter


class _Task(NamedTuple):
    """An image that is segmented as one of several, by its name, and where its labels go."""

    name: str
    source: str
    target: Path


def predict_in_blocks(request: PredictRequest) -> None:
    """Segment images of any size, or print what that would take."""
    from embedseg.images import expand_sources, is_lazy_source, list_fields
    from embedseg.types import UsageError

    if request.needs_whole_images:
        raise UsageError(
            "--maps, --plot, --pieces, --also, --track and what tidies objects are not for images "
            "in blocks" + "; `embedseg track` links the labels that blocks give" * request.track
        )
    sources, more = expand_sources(request.inputs), {}
    fields = {each: list_fields(each) if is_lazy_source(each) else [] for each in sources}
    if request.tta or request.planes:
        more = {
            "predict.tta": str(request.tta).lower(),
            "predict.planes": str(request.planes).lower(),
        }
    output, source = request.output, sources[0]
    if len(sources) > 1 or fields[source] or not (output.suffix or _is_inside(output)):
        tasks = _list_tasks(request, fields)
        noun = "field" if len(sources) == 1 and fields[source] else "image"
        _predict_each(request, request.load_model(more), tasks, noun)
        return
    segmenter = request.load_model(more)
    if request.dry_run:
        print_estimate(segmenter, source, request)
    else:
        print_result(
            segment_source(request, segmenter, source, output, progress=True), request.json
        )


def _is_inside(output: Path) -> bool:
    """Return whether labels are put into a store: `IMAGE.zarr/labels/NAME`."""
    from embedseg.images import is_lazy_source

    return output.parent.name == "labels" and is_lazy_source(output.parent.parent)


def _list_tasks(request: PredictRequest, fields: dict[str, list[str]]) -> list[_Task]:
    """Return the images to segment, with the output of each: a store in a folder, or in a plate.

    `fields` are the sources, each with its fields if it is a plate.

    Raises
    ------
    UsageError
        If the output is no folder, or two images would have the same one.
    """
    from embedseg.common import check_not_inputs, check_output_folder, plural
    from embedseg.images import name_outputs
    from embedseg.types import UsageError

    output, sources = request.output, list(fields)
    plate = sources[0].rstrip("/") if len(sources) == 1 and fields[sources[0]] else None
    if plate and _is_inside(output) and output.parent.parent.resolve() == Path(plate).resolve():
        return [
            _Task(field, f"{plate}/{field}", Path(plate, field, "labels", output.name))
            for field in fields[sources[0]]
        ]
    if output.suffix or _is_inside(output):
        several = sum(max(1, len(listed)) for listed in fields.values())
        expected = f"a folder, or {plate}/labels/NAME" if plate else "a folder"
        noun = plural(several, "field" if plate else "image")
        raise UsageError(f"{output}: expected {expected}, for the labels of {noun}")
    check_not_inputs([output], [Path(source).resolve() for source in sources])
    check_output_folder(output, True)
    tasks = []
    for source, name in zip(sources, name_outputs(list(map(Path, sources))), strict=True):
        for field in fields[source]:
            place = field if plate else f"{name}/{field}"
            tasks.append(_Task(place, f"{source.rstrip('/')}/{field}", output / f"{place}.zarr"))
        if not fields[source]:
            tasks.append(_Task(str(name), source, output / f"{name}.zarr"))
    written: dict[Path, str] = {}
    for task in tasks:
        if (other := written.setdefault(task.target, task.source)) != task.source:
            raise UsageError(f"{task.target}: would be written for {other} and for {task.source}")
    return tasks


def _predict_each(
    request: PredictRequest, segmenter: Segmenter, tasks: list[_Task], noun: str
) -> None:
    """Segment the images that have no labels yet, one after the other."""
    from embedseg.common import plural
    from embedseg.images import check_origin, identify_image

    if request.dry_run:
        lead = f"{noun}s: {len(tasks)}, the first one:\n"
        print_estimate(segmenter, tasks[0].source, request, len(tasks), lead)
        return
    missing = [task for task in tasks if request.overwrite or not task.target.exists()]
    origin = request.origin(segmenter)
    for task in tasks:
        if task not in missing:
            check_origin(task.target, {"image": identify_image(task.source), **origin})
    if skipped := len(tasks) - len(missing):
        say(f"{skipped} of {len(tasks)} have labels already and are skipped")
    failed = [
        task.name
        for number, task in enumerate(missing, 1)
        if not _try_task(request, segmenter, task, f"[{number}/{len(missing)}] {task.name}")
    ]
    written = [task.target for task in missing if task.name not in failed]
    show_result(
        {"written": written, "skipped": skipped, "failed": failed},
        f"{plural(len(written), noun)} written to {request.output}",
        request.json,
    )
    refuse_failed(f"{noun}s", failed, len(missing))


def _try_task(request: PredictRequest, segmenter: Segmenter, task: _Task, place: str) -> bool:
    """Segment an image and print what was found, or what is wrong with it; return success."""
    from embedseg.common import disk_is_full
    from embedseg.types import DataError

    try:
        result = segment_source(request, segmenter, task.source, task.target, progress=False)
    except DataError as error:  # a bad image must not cost the others
        if disk_is_full(error):
            raise
        say(f"{place}: failed")
        explain_error(error)
        return False
    say(f"{place}: " + (f"{result.count} objects" if result.table else "classes"))
    return True

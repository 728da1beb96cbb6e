"""Commands that use a model: predict, evaluate, score, info, demo."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.shared import (
    Axes,
    Data,
    Device,
    IgnoreLabel,
    Json,
    Model,
    Overwrite,
    Planes,
    Settings,
    SpacingText,
    Tta,
    at_terminal,
    best_score,
    command,
    explain_error,
    findings_first,
    parse_settings,
    parse_spacing,
    print_json,
    say,
)

if TYPE_CHECKING:
    from embedseg.metrics import Scores
    from embedseg.model import Segmenter

log = logging.getLogger("embedseg")

CsvFile = Annotated[Path | None, typer.Option(
    "--csv", metavar="FILE", help="Write the scores of each image.", show_default=False)]


@command("embedseg predict nuclei new_images/ -o labels",
         "embedseg predict nuclei 'day*/*.tif' -o labels --set method.seed_threshold=0.8")
def predict(
    model: Model,
    inputs: Annotated[list[str], typer.Argument(
        metavar="INPUT...", help="Image files, folders or patterns.")],
    output: Annotated[Path, typer.Option(
        "-o", "--output", metavar="OUT", help="Folder for the label images, <stem>.tif.")],
    tta: Tta = False, planes: Planes = False, spacing: SpacingText = None, axes: Axes = None,
    frames: Annotated[bool, typer.Option(
        "--frames", help="Segment a time axis frame by frame; --axes with a T says so too.",
    )] = False,
    settings: Settings = None, overwrite: Overwrite = False, device: Device = "auto",
) -> None:
    """Segment images into label images; what is there already is skipped."""
    from embedseg.io import expand_inputs, stem
    from embedseg.model import Segmenter
    from embedseg.types import DataError, UsageError

    size, changes = parse_spacing(spacing), parse_settings(settings)
    files = {path: output / f"{stem(path)}.tif" for path in expand_inputs(inputs)}
    _refuse_replaced(files)
    missing = [path for path in files if overwrite or not files[path].exists()]
    if len(missing) < len(files):
        say(f"{len(files) - len(missing)} of {len(files)} are there already and skipped")
    if not missing:
        return
    segmenter = Segmenter.load(model, device).with_options(changes)
    output.mkdir(parents=True, exist_ok=True)
    bad = []
    for number, path in enumerate(missing, 1):
        begun = time.monotonic()
        try:
            count = _predict_file(
                segmenter, path, files[path], axes=axes and axes.upper(), spacing=size,
                frames=frames, tta=tta or None, planes=planes or None,
            )
        except UsageError:
            raise
        except Exception as error:  # whatever is wrong with one file must not cost the others
            log.debug("%s", path, exc_info=True)
            say(f"[{number}/{len(missing)}] {path}: failed")
            explain_error(error)
            bad.append(path)
        else:
            say(f"[{number}/{len(missing)}] {path.name}: {count} objects "
                f"({time.monotonic() - begun:.1f} s)")
    typer.echo(f"{len(missing) - len(bad)} label images written to {output}")
    if bad:
        raise DataError(f"{len(bad)} of {len(missing)} files failed: "
                        + ", ".join(path.name for path in bad[:5]) + " ..." * (len(bad) > 5))


def _refuse_replaced(files: dict[Path, Path]) -> None:
    """See that no input is written over; that no two share an output is seen on expanding."""
    from embedseg.types import UsageError

    inputs = {path.resolve() for path in files}
    for path, target in files.items():
        if target.resolve() in inputs:
            raise UsageError(f"{path}: its labels would replace the image {target}; "
                             "choose another folder with -o")


def _check_fit(segmenter: Segmenter, axes: str, planes: bool | None, path: Path | None) -> None:
    """Say what to do about a volume for a model of images."""
    from embedseg.types import DataError

    options = segmenter.config
    if options.ndim == 2 and "Z" in axes and not (planes or options.predict.planes):
        raise DataError(f"{path}: 3D ({axes}), but the model is 2D; --planes applies it to volumes")


def _predict_file(
    segmenter: Segmenter, path: Path, target: Path, *, axes: str | None,
    spacing: tuple[float, ...] | None, frames: bool, tta: bool | None, planes: bool | None,
) -> int:
    """Segment one file and return the number of objects."""
    from embedseg.io import read_image, write_labels
    from embedseg.types import DataError

    image = read_image(path, axes)
    if "T" in image.axes and not frames and "T" not in (axes or ""):
        raise DataError(f"{path}: has a time axis ({image.axes}); --frames segments each frame")
    _check_fit(segmenter, image.axes, planes, path)
    spacing = spacing or image.spacing
    if spacing is None and segmenter.config.spacing_known:
        log.info("%s: no spacing in the file, taken to have the model's", path.name)
    labels = segmenter.segment(image.data, axes=image.axes, spacing=spacing, tta=tta,
                               planes=planes, progress=at_terminal())
    write_labels(target, labels, spacing, image.axes.replace("C", ""))
    if "T" in image.axes:
        return int(labels.reshape(len(labels), -1).max(1).sum())
    return int(labels.max(initial=0))


# -- scores ----------------------------------------------------------------------------------------
@command("embedseg evaluate nuclei my_data", "embedseg evaluate nuclei my_data --split val --json")
def evaluate(
    model: Model, data: Data,
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "test",
    tta: Tta = False, planes: Planes = False, settings: Settings = None,
    device: Device = "auto", json: Json = False, csv: CsvFile = None,
) -> None:
    """Segment a split of a data folder and compare with its masks."""
    from embedseg.data import load_split
    from embedseg.evaluate import score_samples
    from embedseg.model import Segmenter

    segmenter = Segmenter.load(model, device).with_options(parse_settings(settings))
    with findings_first(data, segmenter.config.data, segmenter.config.method.type):
        samples = load_split(data, split, segmenter.config.data)
    for sample in samples:
        _check_fit(segmenter, "ZYX"[-sample.labels.ndim:], planes, sample.path)
    results = score_samples(segmenter, samples, tta=tta or None, planes=planes or None,
                            progress=at_terminal())
    _show_scores([(sample.name, scores) for sample, _, scores in results], json, csv)


@command("embedseg score my_data/test/masks labels", "embedseg score truth labels --json")
def score(
    truth: Annotated[Path, typer.Argument(
        metavar="TRUTH_DIR", exists=True, file_okay=False, help="Folder of true label images.")],
    predicted: Annotated[Path, typer.Argument(
        metavar="PREDICTED_DIR", exists=True, file_okay=False,
        help="Folder of predicted label images, whoever made them.")],
    axes: Axes = None, ignore_label: IgnoreLabel = None, json: Json = False, csv: CsvFile = None,
) -> None:
    """Compare two folders of label images."""
    from embedseg.evaluate import score_folders

    results = score_folders(truth, predicted, axes=axes and axes.upper(),
                            ignore_label=ignore_label)
    _show_scores(results, json, csv)


def _show_scores(results: Iterable[tuple[str, Scores]], json: bool, csv: Path | None) -> None:
    from embedseg.evaluate import summarise, table, write_csv

    results = list(results)
    summary = summarise(results)
    if csv:
        write_csv(csv, results)
    if json:
        print_json(summary)
    else:
        typer.echo(table(summary))


# -- info and demo ---------------------------------------------------------------------------------
@command("embedseg info nuclei")
def info(model: Model, json: Json = False) -> None:
    """Say what a model is, what it was trained on and how it decodes."""
    from embedseg.config import load_config
    from embedseg.history import read_history

    config = load_config(model / "config.json")
    history = read_history(model / "history.csv")
    parameters = sum(weight.numel() for weight in config.build_net().parameters())
    if json:
        print_json({"config": config.model_dump(mode="json"), "parameters": parameters,
                    "history": history})
        return
    unit = "µm" if config.spacing_known else "pixels (nothing is known)"
    typer.echo(f"{model}: {config.method.type} with {config.net.type} of "
               f"{parameters / 1e6:.2f} million parameters, {config.ndim}D, "
               f"{config.channels} channel(s)")
    typer.echo(f"spacing: {', '.join(f'{s:g}' for s in config.spacing)} {unit}")
    if history:
        last = history[-1]
        typer.echo(f"trained: {last['step']:.0f} steps in {last['minutes']:.1f} minutes, "
                   f"{best_score(history, config.method.primary)}")
    for part in ("normalize", "method", "net", "train", "predict", "data"):
        typer.echo(f"{part}:")
        for key, value in getattr(config, part).model_dump(mode="json").items():
            typer.echo(f"  {part}.{key} = {_short(value)}")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@command("embedseg demo", "embedseg demo --ndim 3 -o volume_demo")
def demo(
    ndim: Annotated[int, typer.Option("--ndim", min=2, max=3, help="2 or 3.")] = 2,
    output: Annotated[Path, typer.Option(
        "-o", "--output", metavar="DIR", help="Folder for model, labels, pictures and scores.",
    )] = Path("embedseg-demo"),
    time_limit: Annotated[str, typer.Option(
        "--time-limit", metavar="DURATION", help="Length of the training.")] = "200s",
    device: Device = "auto", overwrite: Overwrite = False,
) -> None:
    """Train on the images that come with the package, and segment the ones held back."""
    from embedseg.demo import demo
    from embedseg.evaluate import table
    from embedseg.io import refuse_used

    refuse_used(output, overwrite)
    summary = demo(output, ndim=ndim, time_limit=time_limit, device=device)
    typer.echo(table(summary))
    typer.echo(f"\n{output}: scores.json, labels, and in overlays a picture of every image\n"
               "\nNext, with your own images:\n"
               f"  embedseg predict {output / 'model'} IMAGES -o labels\n"
               "  embedseg train MY_DATA -o my_model --time-limit 15m")

"""Figures and maps beside results: `--plot`, `--maps`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.help import WRITTEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from embedseg.data import DataOptions, Statistics
    from embedseg.images import Image
    from embedseg.scoring import Scoring
    from embedseg.segmenter import Segmenter
    from embedseg.types import Maps

#: Suffixes of pictures.
ENDINGS = (".png", ".pdf", ".svg")
#: Most images in the picture of a data folder.
SHOWN = 8


def _checked(path: Path | None) -> Path | None:
    from embedseg.types import UsageError

    if path and path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--plot {path}: pictures end with {', '.join(ENDINGS)}")
    return path


def plot_option(text: str) -> Any:
    """Return the option `--plot`."""
    return typer.Option(
        "--plot",
        metavar="PICTURE",
        help=f"{text} (png, pdf or svg).",
        show_default=False,
        callback=_checked,
        rich_help_panel=WRITTEN,
    )


PlotScores = Annotated[Path | None, plot_option("Draw the scores over the threshold, or by class")]


def plot_data(path: Path, data: Path, options: DataOptions) -> None:
    """Draw some images of a data folder and their masks."""
    from embedseg.common import pick_evenly
    from embedseg.data import load_training
    from embedseg.plots import save_preview

    samples = load_training(data, options).train
    some = [samples[i] for i in pick_evenly(len(samples), SHOWN)]
    save_preview(
        path,
        [each.image for each in some],
        None,
        [each.labels for each in some],
        spacing=some[0].spacing,
        titles=[each.name for each in some],
        title=f"{len(some)} of {len(samples)} images of {data.name}",
        classes={each.name: each.colour for each in options.classes or ()},
    )


def plot_statistics(path: Path, stats: Statistics) -> None:
    """Draw the sizes of objects of a data folder, or the frequencies of its classes."""
    from embedseg.plots import save_profiles, save_sizes

    if stats.classes:
        names = [each.name for each in stats.classes]
        save_profiles(
            path,
            {"training images": dict(zip(names, stats.frequencies, strict=True))},
            ("class", "share of the annotated pixels"),
        )
        return
    save_sizes(
        path,
        stats.extents,
        unit="µm" if stats.spacing_known else "px",
        axes="ZYX"[-stats.ndim :],
        title=f"{len(stats.extents)} objects",
    )


def plot_scores(path: Path, summaries: Mapping[str, Any], scoring: Scoring) -> None:
    """Draw the profiles of scores."""
    from embedseg.plots import save_profiles

    save_profiles(
        path, {name: scoring.profile(each) for name, each in summaries.items()}, scoring.axes
    )


def plot_prediction(
    folder: Path,
    name: str,
    image: Image,
    labels: NDArray[Any],
    maps: Maps | None,
    segmenter: Segmenter,
) -> None:
    """Draw the objects or classes of an image, and the maps they were decoded from."""
    from embedseg.plots import save_maps, save_overlay

    save_overlay(
        folder / f"{name}.png",
        image.data,
        None,
        labels,
        spacing=image.spacing,
        title=name,
        classes=segmenter.config.method.colours,
    )
    if maps is not None:
        save_maps(folder / f"{name}_maps.png", maps, image.data, title=name)


def write_maps(
    maps: Maps, folder: Path, name: str, spacing_known: bool, classes: Sequence[str] = ()
) -> None:
    """Write each map of an image as float32 TIFF; channels of classes bear their names."""
    from embedseg.common import write_file
    from embedseg.images import write_tiff

    axes, spacing = "CYX" if len(maps.spacing) == 2 else "ZCYX", maps.spacing
    for spec in maps.specs:
        # ImageJ wants channels behind Z.
        data = maps[spec.name] if axes == "CYX" else maps[spec.name].swapaxes(0, 1)
        write_file(
            folder / f"{name}_{spec.name}.tif",
            partial(
                write_tiff,
                data=data,
                spacing=spacing if spacing_known else None,
                axes=axes,
                channels=tuple(classes) if len(classes) == spec.channels else (),
            ),
        )

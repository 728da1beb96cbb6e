"""Figures of the site, drawn from models trained on the sample images.

    python examples/docs/figures.py [--models FOLDER]

Trains the models that are not in FOLDER yet, some ten minutes on one core, and writes
pages/img/*.png.
"""

from __future__ import annotations

import argparse
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.typing import NDArray
from PIL import Image as Picture

import embedseg
from embedseg.data import Sample, load_split, split_planes
from embedseg.plots import paint_labels
from embedseg.scoring import score
from embedseg.types import Maps

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "examples/docs/pages/img"
#: Readable on a light page and on a dark one.
INK = "#7a8a8a"
#: The test image of the figures, and the part of it that is enlarged.
NAME, PART = "29dd28df", (slice(150, 246), slice(0, 96))
#: Bytes of a picture at most.
MOST = 100_000


def main() -> None:
    """Train missing models and draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=ROOT / "build/figures")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    nuclei = trained(asked.models / "nuclei", ROOT / "data/nuclei", {"time_limit": "5m"})
    tests = load_split(ROOT / "data/nuclei", "test", nuclei.config.data)
    sample = next(each for each in tests if each.name == NAME)
    maps = nuclei.predict(sample.image, axes="CYX")
    draw_result(nuclei, sample)
    draw_maps(sample, maps, nuclei.config.method)
    draw_embeddings(sample, maps, nuclei.config.method)
    draw_decoding(sample, maps, nuclei.config.method)
    # As many steps for both: 400.
    both = {
        method: trained(
            asked.models / method, ROOT / "data/neurites", {"epochs": 8}, method=method, ndim=2
        )
        for method in ("embedding", "boundary")
    }
    draw_methods(both)


def trained(folder: Path, data: Path, length: dict[str, Any], **planned: Any) -> embedseg.Segmenter:
    """Return the model in a folder, trained first if there is none."""
    if not (folder / "config.json").is_file():
        model = embedseg.Segmenter.new(embedseg.plan(data, **planned))
        model.fit(data, folder=folder, **length)
    return embedseg.Segmenter.load(folder, "cpu")


# -- figures ---------------------------------------------------------------------------------------
def draw_result(model: embedseg.Segmenter, sample: Sample) -> None:
    """Draw image, truth and prediction."""
    image, found = grey(sample.image), model.segment(sample.image, axes="CYX")
    figure, axes = panels(3, 3.1)
    show(axes[0], image, "image")
    show(axes[1], painted(image, sample.labels), f"truth: {sample.labels.max()} nuclei")
    show(
        axes[2], painted(image, matched(sample.labels, found)), f"prediction: {found.max()} nuclei"
    )
    save(figure, "nuclei")


def draw_maps(sample: Sample, maps: Maps, method: Any) -> None:
    """Draw the three maps of the net."""
    image, seed = grey(sample.image)[PART], maps["seed"][0][PART]
    offset = method.unit * maps["offset"][(slice(None), *PART)]
    radius = radii(maps, method)[(slice(None), *PART)].mean(axis=0)
    inside = seed > method.fg_threshold
    figure, axes = panels(4, 2.9)
    show(axes[0], image, "image")
    show(axes[1], image, "offset: where a pixel is sent")
    y, x = (part[::4, ::4] for part in np.mgrid[: image.shape[0], : image.shape[1]])
    use = inside[::4, ::4]
    axes[1].quiver(
        x[use],
        y[use],
        offset[1][::4, ::4][use],
        offset[0][::4, ::4][use],
        color="#ffb000",
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.006,
        headwidth=3,
        headlength=3,
        headaxislength=3,
    )
    drawn = show(
        axes[2],
        np.where(inside, radius, np.nan),
        "bandwidth, as a radius (px)",
        cmap=matplotlib.colormaps["viridis"].with_extremes(bad="black"),
    )
    bar(figure, axes[2], drawn)
    drawn = show(axes[3], seed, "seed: how well it got there", cmap="magma", vmin=0, vmax=1)
    bar(figure, axes[3], drawn)
    save(figure, "maps")


def draw_embeddings(sample: Sample, maps: Maps, method: Any) -> None:
    """Draw pixels at their positions and at their embeddings."""
    part = (slice(None), *PART)
    labels = np.where(maps["seed"][0] > method.fg_threshold, sample.labels, 0)[PART]
    colours = paint_labels(matched_colours(labels)) / 255
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    landed = np.stack([y, x]) + method.unit * maps["offset"][part]
    width = radii(maps, method)[part]
    figure, axes = panels(2, 4.2)
    image = grey(sample.image)[PART]
    inside = labels > 0
    for panel, (down, across), title in (
        (axes[0], (y, x), "pixels of each nucleus, where they are"),
        (axes[1], landed, "the same pixels, where they are sent"),
    ):
        show(panel, 0.45 * image, title)
        panel.scatter(across[inside], down[inside], s=5, c=colours[inside], linewidths=0)
        panel.set(xlim=(-0.5, inside.shape[1] - 0.5), ylim=(inside.shape[0] - 0.5, -0.5))
    for label in np.unique(labels[inside]):
        here = labels == label
        centre, reach = landed[:, here].mean(axis=1), width[:, here].mean(axis=1)
        axes[1].add_patch(
            Ellipse(
                centre[::-1], 2 * reach[1], 2 * reach[0], fill=False, edgecolor="white", linewidth=1
            )
        )
    save(figure, "embeddings")


def draw_decoding(sample: Sample, maps: Maps, method: Any) -> None:
    """Draw how objects are found one by one."""
    found = method.decode(maps)
    positions = found.objects["position"]
    count = len(positions)
    image = grey(sample.image)
    figure, axes = panels(4, 2.9)
    steps = (1, max(2, count // 4), max(3, count // 2), count)
    for panel, step in zip(axes, steps, strict=True):
        labels = np.where(found.labels <= step, found.labels, 0)
        show(
            panel,
            painted(image, labels),
            "the best seed, and its pixels"
            if step == 1
            else f"all {count} objects"
            if step == count
            else f"{step} objects",
        )
        y, x = positions[:step].T
        panel.plot(x, y, "+", color="white", markersize=6, markeredgewidth=1)
    save(figure, "decoding")


def draw_methods(models: dict[str, embedseg.Segmenter]) -> None:
    """Draw neurites as found by embeddings and by boundaries."""
    first = next(iter(models.values()))
    (volume,) = load_split(ROOT / "data/neurites", "test", first.config.data)
    planes = split_planes(volume)
    sample = planes[len(planes) // 2]
    image = grey(sample.image)
    figure, axes = panels(2 + len(models), 2.9)
    show(axes[0], image, "image")
    show(
        axes[1],
        painted(image, sample.labels),
        f"truth: {len(np.unique(sample.labels)) - 1} neurites",
    )
    for panel, (name, model) in zip(axes[2:], models.items(), strict=True):
        found = [model.segment(each.image, axes="CYX") for each in planes]
        ap = np.mean(
            [
                score(each.labels, labels).ap["0.50"]
                for each, labels in zip(planes, found, strict=True)
            ]
        )
        labels = found[len(planes) // 2]
        show(panel, painted(image, matched(sample.labels, labels)), f"{name}: AP50 {ap:.2f}")
    save(figure, "methods")


# -- parts -----------------------------------------------------------------------------------------
def grey(image: NDArray[Any]) -> NDArray[np.float64]:
    """Return the first channel of an image between 0 and 1."""
    channel = image[0].astype(np.float64)
    low, high = np.percentile(channel, (0.5, 99.5))
    return np.clip((channel - low) / (high - low), 0, 1) ** 0.8


def painted(image: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return an image with labels over it."""
    colours = paint_labels(labels) / 255
    mixed = 0.35 * image[..., None] + 0.65 * colours
    return np.where((labels > 0)[..., None], mixed, 0.8 * image[..., None])


def matched(truth: NDArray[Any], found: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber labels by the true objects that they overlap most."""
    result = np.zeros_like(found)
    used: set[int] = set()
    spare = int(truth.max()) + 1
    sizes = np.bincount(found.ravel())
    for label in np.argsort(-sizes):
        if label == 0 or sizes[label] == 0:
            continue
        below = np.bincount(truth[found == label].clip(0))
        best = int(below[1:].argmax()) + 1 if len(below) > 1 else 0
        if best == 0 or best in used or below[best] == 0:
            best, spare = spare, spare + 1
        used.add(best)
        result[found == label] = best
    return result


def matched_colours(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber labels consecutively, so that neighbours have different colours."""
    return np.searchsorted(np.unique(labels), labels).astype(np.int32)


def radii(maps: Maps, method: Any) -> NDArray[np.float64]:
    """Return the radius at which φ is one half, per pixel and axis, in µm."""
    raw = maps["bandwidth"].astype(np.float64)
    return np.asarray(method.unit * np.sqrt(np.log(2) / np.exp(method.bandwidth_scale * raw)))


def panels(count: int, width: float) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with panels side by side."""
    figure, axes = plt.subplots(
        1, count, figsize=(width * count, width + 0.3), layout="constrained", squeeze=False
    )
    return figure, axes[0]


def show(panel: Axes, image: NDArray[Any], title: str, **options: Any) -> Any:
    """Draw an image without axes."""
    panel.set_title(title, color=INK, fontsize=10)
    panel.set_axis_off()
    if image.ndim == 2:
        options = options or {"cmap": "gray", "vmin": 0, "vmax": 1}
    return panel.imshow(image, interpolation="nearest", **options)


def bar(figure: Figure, panel: Axes, drawn: Any) -> None:
    """Draw a scale of colours."""
    scale = figure.colorbar(drawn, ax=panel, shrink=0.75, pad=0.02)
    scale.outline.set_visible(False)  # type: ignore[operator]
    scale.ax.tick_params(colors=INK, labelsize=8, length=0)


def save(figure: Figure, name: str) -> None:
    """Write a figure as a small PNG with a palette."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    memory = io.BytesIO()
    figure.savefig(memory, dpi=100, transparent=True)
    plt.close(figure)
    picture, path = Picture.open(memory).convert("RGBA"), IMAGES / f"{name}.png"
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, Picture.Quantize.FASTOCTREE).save(path, optimize=True)
        if path.stat().st_size < MOST:
            break
    logging.info("%s: %.0f kB", path, path.stat().st_size / 1000)


if __name__ == "__main__":
    main()

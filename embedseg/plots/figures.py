"""Layout of panels: colours, views of volumes, files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_file
from embedseg.types import Spacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's blue, bright vermilion and yellow: they differ in every kind of colour vision.
MATCHED_COLOUR, MISSED_COLOUR, SPURIOUS_COLOUR = (86, 180, 233), (255, 110, 30), (240, 228, 66)
NOT_ANNOTATED_COLOUR = (110, 110, 110)
#: Shortest and longest screen size of the longer side of a panel, pixels.
PANEL_SIDE = (480, 1000)
#: The same of previews, where several images share a figure.
PREVIEW_SIDE = (350, 350)
MARGIN = 34
DPI = 100
#: Fonts of Chinese, Japanese and Korean, as systems come with them.
SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Source Han Sans",
    "Hiragino Sans",
    "PingFang SC",
    "Arial Unicode MS",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Zen Hei",
)

Colours = NDArray[np.uint8]
Marks = Mapping[str, NDArray[np.float64]]
#: A panel: its pixels, its title, and the positions of marks by kind.
Panel = tuple[Colours, str, Marks]


def take_plane(array: NDArray[Any], view: tuple[int, int], leading: int = 0) -> NDArray[Any]:
    """Return the plane (axis, index) of an array with `leading` axes before those of space."""
    return array if view[0] < 0 else array.take(view[1], view[0] + leading)


def paint_image(image: NDArray[np.float32]) -> Colours:
    """Paint an image of one channel in grey, one of more channels in magenta, green and blue."""
    low, high = np.nanpercentile(image, (1, 99.8), axis=tuple(range(1, image.ndim)), keepdims=True)
    # The square root brings out faint objects.
    bright = np.sqrt(np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1))
    bright = np.nan_to_num(bright)  # black where there is no image
    paints = np.array([[1, 1, 1]] if len(image) == 1 else [[1, 0, 1], [0, 1, 0], [0, 0.4, 1]])
    mixed = np.tensordot(bright[: len(paints)], paints[: len(image)], (0, 0))
    return np.round(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def screen_indices(
    shape: tuple[int, ...], spacing: Spacing, limits: tuple[int, int]
) -> tuple[NDArray[np.int64], ...]:
    """Return the indices that resample a plane to square screen pixels."""
    extent = np.multiply(shape, spacing)
    longest = np.clip(2 * max(shape), *limits)
    size = np.maximum(np.round(extent / extent.max() * longest), 1).astype(int)
    return np.ix_(*[np.arange(n) * shape[i] // n for i, n in enumerate(size)])


def lay_out_panels(rows: Sequence[Sequence[Panel]], legend: list[Any], title: str) -> Figure:
    """Return a figure of rows of panels, one screen pixel per pixel."""
    from matplotlib.figure import Figure

    heights = [row[0][0].shape[0] for row in rows]
    width = MARGIN + max(sum(panel.shape[1] + MARGIN for panel, _, _ in row) for row in rows)
    height = sum(heights) + MARGIN * (len(rows) + 3)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    figure.suptitle(title, y=1 - 0.4 * MARGIN / height, va="top", fontsize=13)
    top = 2 * MARGIN
    for row, high in zip(rows, heights, strict=True):
        left = MARGIN
        for panel, name, marks in row:
            wide = panel.shape[1]
            axes = figure.add_axes(
                (left / width, 1 - (top + high) / height, wide / width, high / height)
            )
            axes.imshow(panel, interpolation="nearest", aspect="auto")
            axes.set_title(name, fontsize=10, pad=4)
            axes.set_axis_off()
            for kind in marks.keys() & MARK_STYLES.keys():
                axes.plot(marks[kind][:, 1], marks[kind][:, 0], **MARK_STYLES[kind])
            left += wide + MARGIN
        top += high + MARGIN
    figure.legend(handles=legend, loc="lower center", ncols=3, frameon=False, fontsize=11)
    return figure


def _mark_style(colour: tuple[int, int, int], marker: str) -> dict[str, Any]:
    return {
        "color": np.divide(colour, 255),
        "marker": marker,
        "fillstyle": "none",
        "linestyle": "",
        "markersize": 7,
        "markeredgewidth": 2,
    }


MARK_STYLES = {
    "missed": _mark_style(MISSED_COLOUR, "o"),
    "spurious": _mark_style(SPURIOUS_COLOUR, "x"),
}
LINE_STYLE = {"color": np.divide(MATCHED_COLOUR, 255), "linewidth": 2}


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure; the suffix sets the format. `options` are those of `Figure.savefig`."""
    _complete_fonts(figure)

    def write(aside: Path) -> None:
        with warnings.catch_warnings():
            # Of names for which there is no font.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(aside, dpi=figure.dpi, format=path.suffix[1:], **options)

    write_file(path, write)


def _complete_fonts(figure: Figure) -> None:
    """Give texts with characters beyond ASCII the fonts of other scripts that are installed."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    installed = set(get_font_names())
    more = [name for name in SCRIPTS if name in installed]
    for text in figure.findobj(Text):
        if isinstance(text, Text) and not text.get_text().isascii():
            text.set_fontfamily([*text.get_fontfamily(), *more])

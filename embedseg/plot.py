"""Pictures of results: truth beside prediction with the errors marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.io import write_aside
from embedseg.metrics import errors, match
from embedseg.types import Spacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's blue, a bright vermillion and yellow differ for every kind of colour vision.
MATCHED, MISSED, SPURIOUS = (86, 180, 233), (255, 110, 30), (240, 228, 66)
NOT_ANNOTATED = (110, 110, 110)
#: Screen pixels of the longer side of a panel, at least and at most.
PANEL = (480, 1000)
#: The same where several images share a page.
PREVIEW = (350, 350)
MARGIN = 34
DPI = 100

Colours = NDArray[np.uint8]
Marks = Mapping[str, NDArray[np.float64]]


def label_colours(labels: NDArray[Any]) -> Colours:
    """Paint labels: neighbouring numbers differ in hue and lightness, background is black.

    Parameters
    ----------
    labels : (*space) integer ndarray
        0 is background, -1 (not annotated) is grey.

    Returns
    -------
    (*space, 3) uint8 ndarray
        A label has the same colour in every image.

    Examples
    --------
    >>> label_colours(np.array([[0, -1]])).tolist()
    [[[0, 0, 0], [110, 110, 110]]]
    """
    from matplotlib.colors import hsv_to_rgb

    ids = np.arange(max(int(labels.max(initial=0)), 0) + 1)
    # Steps of the golden ratio spread hues evenly however many there are; lightness and
    # saturation vary too, for those who see fewer hues.
    value = np.array([1.0, 0.62, 0.85])[ids % 3]
    hsv = np.stack([ids * 0.618034 % 1, np.array([0.75, 0.95, 0.45])[ids // 3 % 3], value], 1)
    palette = np.round(255 * hsv_to_rgb(hsv)).astype(np.uint8)
    palette[0] = 0
    painted: Colours = palette[np.maximum(labels, 0)]
    painted[labels < 0] = NOT_ANNOTATED
    return painted


def overlay(
    image: NDArray[Any], truth: NDArray[Any] | None, predicted: NDArray[Any], *,
    spacing: Spacing | None = None, title: str = "",
) -> Figure:
    """Draw image, truth, prediction and errors side by side.

    Errors are marked at an IoU of 0.5: outlines of matched objects, of missed ones (with a circle)
    and of spurious ones (with a cross). An object has the colour of its match. A volume is shown in
    the plane and in the side view that hold most objects; objects are matched in 3D.

    Parameters
    ----------
    image : (*space) or (C, *space) ndarray
        Any range of values.
    truth : (*space) integer ndarray, or None
        Without it there are an image, a prediction and its outlines.
    predicted : (*space) integer ndarray
        Labels.
    spacing : tuple of float, optional
        Size of a pixel along each axis, µm; sets the aspect. Default: equal sizes.
    title : str
        Stands above the panels.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> labels = np.zeros((20, 30), int)
    >>> labels[5:9, 5:9] = 1
    >>> figure = overlay(np.zeros((20, 30)), labels, 0 * labels, title="one object")
    >>> [axes.get_title() for axes in figure.axes]
    ['image', 'truth: 1 object', 'prediction: 0 objects', 'errors at IoU 0.5']
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['0 matched', '1 missed', '0 spurious']
    """
    ndim = predicted.ndim
    image = (image if image.ndim > ndim else image[np.newaxis]).astype(np.float32)
    spacing = spacing or (1.0,) * ndim
    painted = _colours_of(image)
    state, recoloured = _states(truth, predicted)
    rows = []
    for view in _views(truth, predicted):
        panels, marks = _panels(
            _cut(painted, view), None if truth is None else _cut(truth, view),
            _cut(predicted, view), _cut(recoloured, view), state,
            tuple(size for axis, size in enumerate(spacing) if axis != view[0]),
        )
        where = "" if ndim == 2 else f" ({'zyx'[view[0]]} = {view[1]})"
        names = [name + where for name in _names(truth, predicted)]
        rows.append([*zip(panels, names, [{}] * (len(names) - 1) + [marks], strict=True)])
    if ndim == 2 and truth is not None:
        rows = [rows[0][:2], rows[0][2:]]
    return _figure(rows, _legend({kind: len(ids) for kind, ids in state.items()}), title)


def save_overlay(
    path: Path | str, image: NDArray[Any], truth: NDArray[Any] | None, predicted: NDArray[Any], *,
    spacing: Spacing | None = None, title: str = "",
) -> None:
    """Write `overlay` as an image file; the name's ending says which kind."""
    _save(overlay(image, truth, predicted, spacing=spacing, title=title), Path(path))


def save_preview(
    path: Path | str, images: Sequence[NDArray[Any]], truths: Sequence[NDArray[Any]],
    predictions: Sequence[NDArray[Any]], *, spacing: Spacing | None = None,
    titles: Sequence[str] = (), title: str = "",
) -> None:
    """Draw a few images and the errors in them, small and quickly, into one image file.

    Parameters
    ----------
    path : path
    images, truths, predictions : sequences of ndarray
        As `overlay` takes them; of a volume the plane with most objects is shown.
    spacing : tuple of float, optional
        Of all images.
    titles : sequence of str
        Names of the images.
    title : str
        Stands above the panels.
    """
    cells, whole = [], {"matched": 0, "missed": 0, "spurious": 0}
    for i, (image, truth, predicted) in enumerate(zip(images, truths, predictions, strict=True)):
        image = image if image.ndim > predicted.ndim else image[np.newaxis]
        state, recoloured = _states(truth, predicted)
        view = _views(truth, predicted)[0]
        plane = (spacing or (1.0,) * predicted.ndim)[-2:]
        panels, marks = _panels(_colours_of(_cut(image, view, 1).astype(np.float32)),
                                _cut(truth, view), _cut(predicted, view), _cut(recoloured, view),
                                state, plane, PREVIEW)
        cells.append([(panels[0], titles[i] if titles else "image", {}),
                      (panels[-1], "errors at IoU 0.5", marks)])
        whole = {kind: n + len(state[kind]) for kind, n in whole.items()}
    rows = [[panel for cell in cells[i:i + 2] for panel in cell] for i in range(0, len(cells), 2)]
    _save(_figure(rows, _legend(whole), title), Path(path))


# -- what is seen ----------------------------------------------------------------------------------
def _states(truth: NDArray[Any] | None, predicted: NDArray[Any]
            ) -> tuple[dict[str, NDArray[np.int64]], NDArray[Any]]:
    """Return which labels are matched, missed, spurious; and the prediction in truth's numbers."""
    if truth is None:
        return {"found": np.unique(predicted[predicted > 0])}, predicted
    pairs = match(truth, predicted)
    missed, spurious = errors(truth, predicted)
    numbers = np.arange(max(int(predicted.max(initial=0)), 0) + 1)
    numbers[1:] += max(int(truth.max(initial=0)), 0)
    numbers[pairs[:, 1]] = pairs[:, 0]
    state = {"matched": pairs[:, 1], "missed": missed, "spurious": spurious}
    return state, numbers[np.maximum(predicted, 0)]


def _views(truth: NDArray[Any] | None, predicted: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (axis, index) of the planes to show; an image is shown as it is."""
    if predicted.ndim == 2:
        return [(-1, 0)]
    content = (predicted > 0) if truth is None else (predicted > 0) | (truth > 0)
    return [(axis, int(content.sum(tuple({0, 1, 2} - {axis})).argmax())) for axis in (0, 1)]


def _cut(array: NDArray[Any], view: tuple[int, int], before: int = 0) -> NDArray[Any]:
    """Return a plane of an array that has so many axes before those of space."""
    return array if view[0] < 0 else array.take(view[1], view[0] + before)


def _colours_of(image: NDArray[np.float32]) -> Colours:
    """Paint an image of one channel grey, of more in magenta, green, blue."""
    low, high = np.percentile(image, (1, 99.8), axis=tuple(range(1, image.ndim)), keepdims=True)
    # The root: faint objects matter as much as bright ones.
    bright = np.sqrt(np.clip((image - low) / np.maximum(high - low, 1e-9), 0, 1))
    paints = np.array([[1, 1, 1]] if len(image) == 1 else [[1, 0, 1], [0, 1, 0], [0, 0.4, 1]])
    mixed = np.tensordot(bright[: len(paints)], paints[: len(image)], (0, 0))
    return np.round(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def _panels(image: Colours, truth: NDArray[Any] | None, predicted: NDArray[Any],
            recoloured: NDArray[Any], state: Mapping[str, NDArray[np.int64]], spacing: Spacing,
            limits: tuple[int, int] = PANEL) -> tuple[list[Colours], Marks]:
    """Return the panels of one view at the size of the screen, and where the marks go."""
    rows = _grid(predicted.shape, spacing, limits)
    image, predicted, recoloured = image[rows], predicted[rows], recoloured[rows]
    truth = None if truth is None else truth[rows]
    outlined = (image * 0.75).astype(np.uint8)
    if truth is not None:
        outlined[truth < 0] = NOT_ANNOTATED
    kinds = {"found": (predicted, MATCHED), "matched": (predicted, MATCHED),
             "missed": (truth, MISSED), "spurious": (predicted, SPURIOUS)}
    marks = {}
    for kind, ids in state.items():
        labels, colour = kinds[kind]
        assert labels is not None
        kept = np.where(np.isin(labels, ids), labels, 0)
        outlined[_outline(kept)] = colour
        marks[kind] = _middles(kept)
    painted = [(label_colours(labels), _outline(labels))
               for labels in (truth, recoloured) if labels is not None]
    for colours, line in painted:
        colours[line] //= 2
    return [image, *[colours for colours, _ in painted], outlined], marks


def _grid(shape: tuple[int, ...], spacing: Spacing, limits: tuple[int, int]
          ) -> tuple[NDArray[np.int64], ...]:
    """Return the indices that stretch a plane to the screen with square pixels."""
    extent = np.multiply(shape, spacing)
    longest = np.clip(2 * max(shape), *limits)
    size = np.maximum(np.round(extent / extent.max() * longest), 1).astype(int)
    return np.ix_(*[np.arange(n) * shape[i] // n for i, n in enumerate(size)])


def _outline(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the outer two pixels of each object, but not where the image ends."""
    from scipy.ndimage import maximum_filter, minimum_filter

    return np.asarray((maximum_filter(labels, 5) != minimum_filter(labels, 5)) & (labels > 0))


def _middles(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the middle of each object, (n, 2)."""
    from scipy.ndimage import center_of_mass

    ids = np.unique(labels[labels > 0])
    return np.array(center_of_mass(labels > 0, labels, ids)).reshape(-1, 2)


def _names(truth: NDArray[Any] | None, predicted: NDArray[Any]) -> list[str]:
    def count(name: str, labels: NDArray[Any]) -> str:
        n = len(np.unique(labels[labels > 0]))
        return f"{name}: {n} object{'s' * (n != 1)}"

    if truth is None:
        return ["image", count("prediction", predicted), "outlines"]
    return ["image", count("truth", truth), count("prediction", predicted), "errors at IoU 0.5"]


# -- how it is laid out ----------------------------------------------------------------------------
def _figure(rows: Sequence[Sequence[tuple[Colours, str, Marks]]], legend: list[Any], title: str
            ) -> Figure:
    """Lay out rows of panels, one screen pixel per pixel."""
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
            axes = figure.add_axes((left / width, 1 - (top + high) / height,
                                    wide / width, high / height))
            axes.imshow(panel, interpolation="nearest", aspect="auto")
            axes.set_title(name, fontsize=10, pad=4)
            axes.set_axis_off()
            for kind in marks.keys() & _MARKS.keys():
                axes.plot(marks[kind][:, 1], marks[kind][:, 0], **_MARKS[kind])
            left += wide + MARGIN
        top += high + MARGIN
    figure.legend(handles=legend, loc="lower center", ncols=3, frameon=False, fontsize=11)
    return figure


def _mark(colour: tuple[int, int, int], marker: str) -> dict[str, Any]:
    return {"color": np.divide(colour, 255), "marker": marker, "fillstyle": "none",
            "linestyle": "", "markersize": 7, "markeredgewidth": 2}


_MARKS = {"missed": _mark(MISSED, "o"), "spurious": _mark(SPURIOUS, "x")}
_LINE = {"color": np.divide(MATCHED, 255), "linewidth": 2}


def _legend(counts: Mapping[str, int]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], label=f"{n} {kind}", **_MARKS.get(kind, _LINE))
            for kind, n in counts.items()]


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, lambda aside: figure.savefig(aside, dpi=figure.dpi, format=path.suffix[1:]))

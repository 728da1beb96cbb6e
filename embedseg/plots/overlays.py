"""Overlays: truth beside prediction with the errors marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import plural
from embedseg.plots.classes import make_class_legend, make_class_panels, middle_views
from embedseg.plots.figures import (
    LINE_STYLE,
    MARK_STYLES,
    MATCHED_COLOUR,
    MISSED_COLOUR,
    NOT_ANNOTATED_COLOUR,
    PANEL_SIDE,
    PREVIEW_SIDE,
    SPURIOUS_COLOUR,
    Colours,
    Marks,
    Panel,
    lay_out_panels,
    paint_image,
    save_figure,
    screen_indices,
    take_plane,
)
from embedseg.scoring import find_errors, match_objects
from embedseg.types import Spacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def paint_labels(labels: NDArray[Any]) -> Colours:
    """Paint labels in colours: consecutive labels differ in hue and lightness, background is black.

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
    >>> paint_labels(np.array([[0, -1]])).tolist()
    [[[0, 0, 0], [110, 110, 110]]]
    """
    from skimage.color import hsv2rgb

    ids = np.arange(max(int(labels.max(initial=0)), 0) + 1)
    # Steps of the golden ratio spread any number of hues evenly; lightness and saturation vary
    # too, for colour-blind readers.
    value = np.array([1.0, 0.62, 0.85])[ids % 3]
    hsv = np.stack([ids * 0.618034 % 1, np.array([0.75, 0.95, 0.45])[ids // 3 % 3], value], 1)
    palette = np.round(255 * hsv2rgb(hsv)).astype(np.uint8)
    palette[0] = 0
    painted: Colours = palette[np.maximum(labels, 0)]
    painted[labels < 0] = NOT_ANNOTATED_COLOUR
    return painted


def plot_overlay(
    image: NDArray[Any],
    truth: NDArray[Any] | None,
    predicted: NDArray[Any],
    *,
    spacing: Spacing | None = None,
    title: str = "",
    classes: Mapping[str, str] | None = None,
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
        Without truth, image, prediction and its outlines are drawn.
    predicted : (*space) integer ndarray
        Labels.
    spacing : tuple of float, optional
        Size of a pixel along each axis, µm; sets the aspect. Default: equal sizes.
    title : str
        Title of the figure.
    classes : mapping of str to str, optional
        Names and colours, "#rrggbb", if the labels are classes; then wrong pixels are marked.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> labels = np.zeros((20, 30), int)
    >>> labels[5:9, 5:9] = 1
    >>> figure = plot_overlay(np.zeros((20, 30)), labels, 0 * labels, title="one object")
    >>> [axes.get_title() for axes in figure.axes]
    ['image', 'truth: 1 object', 'prediction: 0 objects', 'errors at IoU 0.5']
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['0 matched', '1 missed', '0 spurious']
    """
    ndim = predicted.ndim
    image = (image if image.ndim > ndim else image[np.newaxis]).astype(np.float32)
    spacing = spacing or (1.0,) * ndim
    rows: list[list[Panel]] = []
    if classes:
        rows = [
            make_class_panels(image, truth, predicted, classes, spacing, view)
            for view in middle_views(predicted.shape)
        ]
        return lay_out_panels(_in_two_rows(rows, truth), make_class_legend(classes), title)
    painted = paint_image(image)
    state, recoloured = _match(truth, predicted)
    for view in _fullest_views(truth, predicted):
        panels, marks = _paint_view(
            take_plane(painted, view),
            None if truth is None else take_plane(truth, view),
            take_plane(predicted, view),
            take_plane(recoloured, view),
            state,
            tuple(size for axis, size in enumerate(spacing) if axis != view[0]),
        )
        where = "" if ndim == 2 else f" ({'zyx'[view[0]]} = {view[1]})"
        names = [name + where for name in _panel_titles(truth, predicted)]
        rows.append([*zip(panels, names, [{}] * (len(names) - 1) + [marks], strict=True)])
    legend = _make_legend({kind: len(ids) for kind, ids in state.items()})
    return lay_out_panels(_in_two_rows(rows, truth), legend, title)


def _in_two_rows(rows: list[list[Panel]], truth: NDArray[Any] | None) -> list[list[Panel]]:
    """Part a single row of four panels into two rows."""
    return [rows[0][:2], rows[0][2:]] if len(rows) == 1 and truth is not None else rows


def save_overlay(
    path: Path | str,
    image: NDArray[Any],
    truth: NDArray[Any] | None,
    predicted: NDArray[Any],
    *,
    spacing: Spacing | None = None,
    title: str = "",
    classes: Mapping[str, str] | None = None,
) -> None:
    """Write the figure of `plot_overlay` as an image file; the suffix sets the format."""
    save_figure(
        plot_overlay(image, truth, predicted, spacing=spacing, title=title, classes=classes),
        Path(path),
    )


def save_preview(
    path: Path | str,
    images: Sequence[NDArray[Any]],
    truths: Sequence[NDArray[Any]] | None,
    predictions: Sequence[NDArray[Any]],
    *,
    spacing: Spacing | None = None,
    titles: Sequence[str] = (),
    title: str = "",
    classes: Mapping[str, str] | None = None,
) -> None:
    """Draw a few small images and the errors in them into one image file.

    Parameters
    ----------
    path : path
    images, truths, predictions : sequences of ndarray
        As in `plot_overlay`; truths may be None. Of a volume the plane with most objects is drawn.
    spacing : tuple of float, optional
        Size of a pixel, the same for all images.
    titles : sequence of str
        Names of the images.
    title : str
        Title of the figure.
    classes : mapping of str to str, optional
        As in `plot_overlay`.
    """
    cells: list[list[Panel]] = []
    counts: dict[str, int] = {}
    known: Sequence[NDArray[Any] | None] = [None] * len(images) if truths is None else truths
    for i, (image, truth, predicted) in enumerate(zip(images, known, predictions, strict=True)):
        image = image if image.ndim > predicted.ndim else image[np.newaxis]
        if classes:
            steps = spacing or (1.0,) * predicted.ndim
            shown = make_class_panels(
                image,
                truth,
                predicted,
                classes,
                steps,
                middle_views(predicted.shape)[0],
                PREVIEW_SIDE,
            )
            cells.append([(shown[-2][0], titles[i] if titles else "image", {}), shown[-1]])
            continue
        state, recoloured = _match(truth, predicted)
        view = _fullest_views(truth, predicted)[0]
        plane = (spacing or (1.0,) * predicted.ndim)[-2:]
        panels, marks = _paint_view(
            paint_image(take_plane(image, view, 1).astype(np.float32)),
            None if truth is None else take_plane(truth, view),
            take_plane(predicted, view),
            take_plane(recoloured, view),
            state,
            plane,
            PREVIEW_SIDE,
        )
        cells.append(
            [
                (panels[0], titles[i] if titles else "image", {}),
                (panels[-1], "objects" if truth is None else "errors at IoU 0.5", marks),
            ]
        )
        counts = {kind: counts.get(kind, 0) + len(ids) for kind, ids in state.items()}
    rows = [[panel for cell in cells[i : i + 2] for panel in cell] for i in range(0, len(cells), 2)]
    save_figure(
        lay_out_panels(
            rows, make_class_legend(classes) if classes else _make_legend(counts), title
        ),
        Path(path),
    )


# -- panels ----------------------------------------------------------------------------------------
def _match(
    truth: NDArray[Any] | None, predicted: NDArray[Any]
) -> tuple[dict[str, NDArray[np.int64]], NDArray[Any]]:
    """Return the matched, missed and spurious labels; and the prediction with truth's labels."""
    if truth is None:
        return {"found": np.unique(predicted[predicted > 0])}, predicted
    pairs = match_objects(truth, predicted)
    missed, spurious = find_errors(truth, predicted)
    numbers = np.arange(max(int(predicted.max(initial=0)), 0) + 1)
    numbers[1:] += max(int(truth.max(initial=0)), 0)
    numbers[pairs[:, 1]] = pairs[:, 0]
    state = {"matched": pairs[:, 1], "missed": missed, "spurious": spurious}
    return state, numbers[np.maximum(predicted, 0)]


def _fullest_views(truth: NDArray[Any] | None, predicted: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (axis, index) of the planes with most objects; axis -1 is a whole 2D image."""
    if predicted.ndim == 2:
        return [(-1, 0)]
    content = (predicted > 0) if truth is None else (predicted > 0) | (truth > 0)
    return [(axis, int(content.sum(tuple({0, 1, 2} - {axis})).argmax())) for axis in (0, 1)]


def _paint_view(
    image: Colours,
    truth: NDArray[Any] | None,
    predicted: NDArray[Any],
    recoloured: NDArray[Any],
    state: Mapping[str, NDArray[np.int64]],
    spacing: Spacing,
    limits: tuple[int, int] = PANEL_SIDE,
) -> tuple[list[Colours], Marks]:
    """Return the panels of one view at screen size, and the positions of the marks."""
    rows = screen_indices(predicted.shape, spacing, limits)
    image, predicted, recoloured = image[rows], predicted[rows], recoloured[rows]
    truth = None if truth is None else truth[rows]
    outlined = (image * 0.75).astype(np.uint8)
    if truth is not None:
        outlined[truth < 0] = NOT_ANNOTATED_COLOUR
    kinds = {
        "found": (predicted, MATCHED_COLOUR),
        "matched": (predicted, MATCHED_COLOUR),
        "missed": (truth, MISSED_COLOUR),
        "spurious": (predicted, SPURIOUS_COLOUR),
    }
    marks = {}
    for kind, ids in state.items():
        labels, colour = kinds[kind]
        assert labels is not None
        kept = np.where(np.isin(labels, ids), labels, 0)
        outlined[_find_outlines(kept)] = colour
        marks[kind] = _find_middles(kept)
    painted = [
        (paint_labels(labels), _find_outlines(labels))
        for labels in (truth, recoloured)
        if labels is not None
    ]
    for colours, line in painted:
        colours[line] //= 2
    return [image, *[colours for colours, _ in painted], outlined], marks


def _find_outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the outer two pixels of each object, except at the border of the image."""
    from scipy.ndimage import maximum_filter, minimum_filter

    return np.asarray((maximum_filter(labels, 5) != minimum_filter(labels, 5)) & (labels > 0))


def _find_middles(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the centre of mass of each object, (n, 2)."""
    from scipy.ndimage import center_of_mass

    ids = np.unique(labels[labels > 0])
    return np.array(center_of_mass(labels > 0, labels, ids)).reshape(-1, 2)


def _panel_titles(truth: NDArray[Any] | None, predicted: NDArray[Any]) -> list[str]:
    def count(name: str, labels: NDArray[Any]) -> str:
        return f"{name}: {plural(len(np.unique(labels[labels > 0])), 'object')}"

    if truth is None:
        return ["image", count("prediction", predicted), "outlines"]
    return ["image", count("truth", truth), count("prediction", predicted), "errors at IoU 0.5"]


def _make_legend(counts: Mapping[str, int]) -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], label=f"{n} {kind}", **MARK_STYLES.get(kind, LINE_STYLE))
        for kind, n in counts.items()
    ]

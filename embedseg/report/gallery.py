"""Galleries: numbers of all images, pictures of a few."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedseg.data import frames
from embedseg.images import Image, stem
from embedseg.methods import Method
from embedseg.report.images import chosen_slices, data_uri, image_thumbnail, index_of, sheet, taken
from embedseg.report.overlays import Pixels
from embedseg.report.views import Judged, View, view_of
from embedseg.scoring import Scoring
from embedseg.types import DataError, Segmentation, Spacing

log = logging.getLogger("embedseg")

#: Images of which pictures are kept: the worst and as many of the best; of volumes fewer.
WORST = {2: 6, 3: 3}
#: Characters that all pictures of a report may have; about 8 MB.
BUDGET = 8_000_000
#: Layers that are seen at first.
SHOWN = ("image", "errors", "prediction")


class Layer(NamedTuple):
    """A layer of a picture: its name, its address with all pixels, and what it shows in words."""

    name: str
    uri: str
    alt: str


class Picture(NamedTuple):
    """Layers of one size, the slices of a volume under each other.

    Attributes
    ----------
    layers : tuple of Layer
    places : tuple of int
        Which slices.
    depth : int
        Slices of the volume; 1 for an image.
    width, height : int
        Pixels of a slice.
    first : int
        Number of the slice that is seen at first.
    """

    layers: tuple[Layer, ...]
    places: tuple[int, ...]
    depth: int
    width: int
    height: int
    first: int

    @property
    def cost(self) -> int:
        """How many characters it takes."""
        return sum(len(layer.uri) for layer in self.layers)


@dataclass
class Entry:
    """What is kept of an image.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Of space.
    contents : str
        What was found in it.
    truth : str
        What is truly in it; empty where that is not known.
    columns : dict of str to str
        Scores and errors, for a table.
    rank : float
        The score that counts; nan where there is none.
    picture : Picture, optional
    """

    name: str
    shape: tuple[int, ...]
    contents: str
    truth: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    rank: float = math.nan
    picture: Picture | None = None


class Gallery:
    """Images with what was found in them, and with the truth or without it.

    With scores, pictures are kept of the worst and the best images; without, of images evenly over
    all. An image that cannot be shown is said in the log, and costs nothing else.

    Parameters
    ----------
    method : Method
        Says what labels are, how they are scored and coloured.

    Examples
    --------
    >>> from embedseg.methods.registry import as_method
    >>> gallery, labels = Gallery(as_method({"type": "boundary"})), np.eye(20, dtype=np.int32)
    >>> gallery.add("a", labels.astype(np.float32), Segmentation(labels))
    >>> gallery.entries[0].contents, [layer.name for layer in gallery.entries[0].picture.layers]
    ('1 object', ['image', 'prediction'])
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self.view: View = view_of(method)
        self.scoring: Scoring = method.scoring()
        self.entries: list[Entry] = []
        self.judged: list[Judged] = []
        self.results: list[tuple[str, Any]] = []
        self.tallies: dict[str, list[NDArray[Any]]] = {}
        self.sureness: dict[str, list[NDArray[Any]]] = {}
        self.unit = ""
        self._step = 1

    def add(
        self,
        name: str,
        image: NDArray[Any],
        found: Segmentation,
        truth: NDArray[np.int32] | None = None,
        *,
        scores: Any = None,
        spacing: Spacing | None = None,
    ) -> None:
        """Take in an image.

        Parameters
        ----------
        name : str
        image : (*space) or (C, *space) ndarray
        found : Segmentation
            Of that grid.
        truth : (*space) integer ndarray, optional
        scores : object, optional
            As the method's scoring compares; default: compared here, if there is a truth.
        spacing : tuple of float, optional
            Size of a pixel, µm.
        """
        with _harmless(name):
            self._add(name, image, found, truth, scores, spacing)

    def add_frames(self, image: Image, found: Segmentation, spacing: Spacing | None) -> None:
        """Take in an image as it was read; each frame of a film is an image of its own."""
        name = stem(image.path or "image")
        if "T" not in image.axes:
            self.add(name, frames(image)[0], found, spacing=spacing)
            return
        with _harmless(name):
            for t, (frame, labels) in enumerate(zip(frames(image), found.labels, strict=True)):
                self.add(f"{name}_t{t:03d}", frame, Segmentation(labels), spacing=spacing)

    def _add(
        self,
        name: str,
        image: NDArray[Any],
        found: Segmentation,
        truth: NDArray[np.int32] | None,
        scores: Any,
        spacing: Spacing | None,
    ) -> None:
        labels = found.labels
        entry = Entry(name, labels.shape, self.method.found([labels]))
        judged = None
        if truth is not None:
            judged = self.view.judge(truth, labels)
            scores = self.scoring.compare(truth, labels) if scores is None else scores
            headline = self.scoring.headline(self.scoring.summarise([(name, scores)]))
            entry.truth = self.method.found([np.maximum(truth, 0)])
            entry.rank = _number(headline[self.scoring.main[0]])
            entry.columns = {key: f"{_number(value):.3f}" for key, value in headline.items()}
            entry.columns |= self.view.columns(judged)
        sureness = self.view.sureness(found, judged)
        self.entries.append(entry)
        if truth is not None and judged is not None:
            self.judged.append(judged)
            self.results.append((name, scores))
            self._count("truth", truth, spacing)
        self._count("prediction", labels, spacing)
        for kind, values in sureness.items():
            self.sureness.setdefault(kind, []).append(values)
        # Last: without its picture an image still counts.
        if self._wanted(entry):
            entry.picture = self._drawn(entry, image, truth, labels, judged, spacing)
            self._drop_others(labels.ndim)

    def _count(self, name: str, labels: NDArray[np.int32], spacing: Spacing | None) -> None:
        unit = "px" if spacing is None else {2: "µm²", 3: "µm³"}[labels.ndim]
        self.unit = self.unit or unit
        # One unit for all; where some images do not say their spacing, theirs is a pixel.
        scale = np.prod(spacing) if spacing and self.unit != "px" else 1.0
        self.tallies.setdefault(name, []).append(self.view.tally(labels) * scale)

    # -- pictures ------------------------------------------------------------------------------
    def pictured(self) -> list[Entry]:
        """Return the entries with pictures that fit, the worst first; the others lose theirs."""
        shown = [entry for entry in self.entries if entry.picture]
        if self.results:
            shown.sort(key=lambda entry: entry.rank)
        while shown and sum(entry.picture.cost for entry in shown if entry.picture) > BUDGET:
            # What lies in the middle says least.
            shown.pop(len(shown) // 2).picture = None
        return shown

    def _wanted(self, entry: Entry) -> bool:
        if math.isnan(entry.rank):
            return (len(self.entries) - 1) % self._step == 0
        ranks = sorted(e.rank for e in self.entries if e.picture and not math.isnan(e.rank))
        most = WORST[len(entry.shape)]
        return len(ranks) < 2 * most or entry.rank < ranks[most - 1] or entry.rank > ranks[-most]

    def _drop_others(self, ndim: int) -> None:
        """Keep so many pictures: the worst and the best, or every second."""
        shown = [entry for entry in self.entries if entry.picture]
        ranked = sorted((e for e in shown if not math.isnan(e.rank)), key=lambda entry: entry.rank)
        for entry in ranked[WORST[ndim] : len(ranked) - WORST[ndim]]:
            entry.picture = None
        if len(shown) - len(ranked) > 2 * WORST[ndim]:
            self._step *= 2
            for number, entry in enumerate(self.entries):
                if math.isnan(entry.rank) and number % self._step:
                    entry.picture = None

    def _drawn(
        self,
        entry: Entry,
        image: NDArray[Any],
        truth: NDArray[np.int32] | None,
        labels: NDArray[np.int32],
        judged: Judged | None,
        spacing: Spacing | None,
    ) -> Picture:
        depth = 1 if labels.ndim == 2 else labels.shape[0]
        slices = chosen_slices(depth)
        index = index_of(labels.shape, spacing or (1.0,) * labels.ndim, slices)
        image = image if image.ndim > labels.ndim else image[np.newaxis]
        if image.shape[1:] != labels.shape:
            raise DataError(f"image of shape {image.shape[1:]}, labels of {labels.shape}")
        painted: dict[str, Pixels] = self.view.paint(
            None if truth is None else taken(truth, index), taken(labels, index), judged
        )
        words = {
            "truth": entry.truth,
            "prediction": entry.contents,
            "errors": ", ".join(
                f"{kind.name} {entry.columns[kind.name]}"
                for kind in self.view.kinds
                if kind.name in entry.columns
            ),
        }
        size = " x ".join(map(str, entry.shape))
        layers = [
            Layer(
                "image",
                data_uri(sheet(image_thumbnail(image, index)), lossless=False),
                f"{entry.name}, {size} pixels",
            )
        ]
        layers += [
            Layer(name, data_uri(sheet(pixels), lossless=True), f"{name}: {words[name]}")
            for name, pixels in painted.items()
        ]
        height, width = len(index[1]), len(index[2])
        return Picture(
            tuple(layers), tuple(slices), depth, width, height, self._fullest(labels, slices)
        )

    def _fullest(self, labels: NDArray[np.int32], slices: Sequence[int]) -> int:
        """Return the number of the chosen slice with most in it."""
        if labels.ndim == 2:
            return 0
        return int(np.argmax([(labels[z] > 0).sum() for z in slices]))


@contextmanager
def _harmless(name: str) -> Iterator[None]:
    """Log what goes wrong: a report is not worth the work that it is about."""
    try:
        yield
    except Exception as error:
        log.debug("%s", name, exc_info=True)
        log.warning("%s: left out of the report (%s: %s)", name, type(error).__name__, error)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

"""Measured receptive field of a net, and the halo it implies."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.blockwise.job import ModelMaps, read_box
from embedseg.blockwise.resampled import Resampled
from embedseg.common import format_shape, write_text
from embedseg.geometry import relative_box
from embedseg.images import LazyImage
from embedseg.model import HALO, ModelFolder, Predictor
from embedseg.types import Box, DataError, Maps, PerAxis

log = logging.getLogger("embedseg")

#: Halos that are tried, in multiples of the net's divisor along each axis.
TRIED = (1, 2, 3, 4, 5, 6, 8, 12, 16)
#: Largest error of activated maps at the edge of a block.
TOLERANCE = 1e-3
#: Length of the core whose maps are compared, in pixels along each axis.
CORE = 16
#: Where it is looked for along an axis, as parts of it.
PLACES = (0.5, 0.3, 0.7, 0.1, 0.9)
#: Largest box that is tried, in pixels, by the number of axes.
MOST = {2: 1024**2, 3: 200**3}


@dataclass(frozen=True)
class Halo:
    """The halo of a net.

    Attributes
    ----------
    pixels : tuple of int
        Pixels that a box needs beyond its kept part, along each axis.
    error : float
        Largest difference of an activated map within, to that of a far larger box.
    """

    pixels: PerAxis
    error: float


def find_halo(
    model: Predictor,
    image: LazyImage | Resampled,
    source: ModelMaps,
    divisor: PerAxis,
    home: Path,
) -> Halo:
    """Return the halo of a model's net: given in its options, kept in its folder, or measured.

    Parameters
    ----------
    model : Predictor
    image : LazyImage or Resampled
    source : ModelMaps
        Maps by the model.
    divisor : tuple of int
        Boxes begin at its multiples.
    home : Path
        Folder of the model, in which a measured halo is kept.
    """
    predict, ndim = model.config.predict, len(divisor)
    if predict.halo is not None:
        given = predict.halo
        pixels = (
            (given,) * ndim
            if isinstance(given, int)
            else (given[0],) * (ndim - len(given)) + tuple(given)
        )
        return Halo(pixels, float("nan"))
    shape, widest = image.shape[-ndim:], list(_candidates(divisor))[-1]
    # In an image smaller than the largest box, no more than its size can be seen.
    sides = [min(n, 2 * h + CORE) for n, h in zip(shape, widest, strict=True)]
    conditions = [list(divisor), predict.tta, sides]
    halo = load_halo(home, conditions)
    if halo is None:
        log.info("measuring the halo of the net")
        core = _liveliest_core(lambda box: read_box(image, box), shape, divisor)
        if core is None:
            return Halo(widest, float("nan"))
        device = str(model.device)
        halo = probe_halo(lambda box: box_maps(image, source, device, box), shape, divisor, core)
        save_halo(home, conditions, halo)
    return halo


def box_maps(image: LazyImage | Resampled, source: ModelMaps, device: str, box: Box) -> Maps:
    """Return the maps of a box of an image.

    Raises
    ------
    DataError
        If they are not on the grid of the image.
    """
    # Pixels without image have no maps to compare; here they are 0.
    maps = source.maps(np.nan_to_num(read_box(image, box), posinf=np.inf, neginf=-np.inf), device)
    expected = tuple(side.stop - side.start for side in box)
    if maps.shape != expected:
        raise DataError(
            f"{image.source}: has a spacing of {image.spacing} µm, not that of the "
            f"model, {maps.spacing}; in blocks, volumes are not resampled for a 2D "
            "model: choose another level of the image, or resample it first"
        )
    return maps


def probe_halo(
    maps: Callable[[Box], Maps],
    shape: PerAxis,
    divisor: PerAxis,
    core: Box | None = None,
    *,
    tolerance: float = TOLERANCE,
) -> Halo:
    """Find the smallest halo for which the maps at the edge of a block are right.

    The maps of a box, with a halo that is made wider and wider, are compared with those that it has
    in the largest box there is room for. The first halo that does is made narrower along one axis
    after the other: a net need not see as far, in multiples of the divisor, along each of them.

    Parameters
    ----------
    maps : callable
        Maps of a box of the image.
    shape : tuple of int
        Of the image.
    divisor : tuple of int
        Boxes begin at its multiples.
    core : tuple of slice, optional
        The box; default: in the middle of the image.
    tolerance : float
        Largest error of activated maps.

    Returns
    -------
    Halo
        If none is wide enough, the widest that could be tried.
    """
    halos = list(_candidates(divisor))
    core = core or next(_core_boxes(shape, divisor))
    widest = _widened(core, shape, divisor, halos[-1])
    reference = _core_maps(maps(widest), core, widest)

    def measure(pixels: PerAxis) -> Halo:
        box = _widened(core, shape, divisor, pixels)
        error = float(np.abs(_core_maps(maps(box), core, box) - reference).max(initial=0))
        return Halo(pixels, error)

    halo = Halo(halos[-1], 0.0)
    for pixels in halos[:-1]:
        halo = measure(pixels)
        if halo.error < tolerance:
            return _narrowed(halo, measure, core, shape, divisor, tolerance)
    if len(halos) > 1:
        log.warning(
            "the maps still change by %.2g with a halo of %s pixels; block borders may "
            "be off by as much",
            halo.error,
            format_shape(halos[-1]),
        )
    return Halo(halos[-1], halo.error)


def _narrowed(
    halo: Halo,
    measure: Callable[[PerAxis], Halo],
    core: Box,
    shape: PerAxis,
    divisor: PerAxis,
    tolerance: float,
) -> Halo:
    """Return a halo made narrower along each axis as far as the maps stay right.

    Where a box reaches the border of the image, it does not show what a halo leaves out.
    """
    for axis, (side, n, d) in enumerate(zip(core, shape, divisor, strict=True)):
        step = max(2, d)
        while (less := halo.pixels[axis] - step) > 0:
            if side.start - less <= 0 or side.stop + less >= n:
                break
            tried = measure((*halo.pixels[:axis], less, *halo.pixels[axis + 1 :]))
            if tried.error >= tolerance:
                break
            halo = tried
    return halo


def _candidates(divisor: PerAxis) -> Iterator[PerAxis]:
    """Return the halos to try, up to the largest box; the last one is the reference."""
    ndim, last = len(divisor), None
    for times in TRIED:
        # Where the net does not shrink an axis, its kernels still see along it.
        halo = tuple(times * max(2, d) for d in divisor)
        if last is not None and prod(2 * h + CORE for h in halo) > MOST[ndim]:
            break
        last = halo
        yield halo


def _core_boxes(shape: PerAxis, divisor: PerAxis) -> Iterator[Box]:
    """Return small boxes of an image, the one in the middle first."""
    spans = []
    for n, d in zip(shape, divisor, strict=True):
        length = -(-CORE // d) * d
        starts = dict.fromkeys(max(0, int(part * (n - length)) // d * d) for part in PLACES)
        spans.append([slice(start, min(n, start + length)) for start in starts])
    yield from product(*spans)


def _liveliest_core(
    read: Callable[[Box], NDArray[Any]], shape: PerAxis, divisor: PerAxis
) -> Box | None:
    """Return the small box with the largest spread of values; None if each has one value only.

    Where an image is empty, maps are right with any halo.
    """
    cores = list(_core_boxes(shape, divisor))
    spreads = [_spread(read(core)) for core in cores]
    largest = max(spreads)
    return cores[spreads.index(largest)] if largest > 0 else None


def _spread(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)].astype(np.float64)
    return float(known.std()) if known.size else 0.0


def _widened(core: Box, shape: PerAxis, divisor: PerAxis, halo: PerAxis) -> Box:
    """Return the core with a halo, as far as the image reaches."""
    sides = []
    for side, n, d, h in zip(core, shape, divisor, halo, strict=True):
        reach = -(-h // d) * d
        sides.append(slice(max(0, side.start - reach), min(n, side.stop + reach)))
    return tuple(sides)


def _core_maps(maps: Maps, core: Box, box: Box) -> NDArray[np.float32]:
    """Return the activated maps of a core within a box."""
    local = (slice(None), *relative_box(core, box))
    return np.concatenate([maps[spec.name] for spec in maps.specs])[local]


# -- kept in the folder of the model ---------------------------------------------------------------
def load_halo(folder: Path, conditions: Any) -> Halo | None:
    """Return the halo kept for a model with its present weights; None if there is none.

    Parameters
    ----------
    folder : Path
        Of the model.
    conditions : object
        What else the halo depends on; it can be written as JSON.
    """
    try:
        held = json.loads((folder / HALO).read_text(encoding="utf-8"))
        if held.pop("of") == _fingerprint(folder, conditions):
            return Halo(tuple(int(n) for n in held["pixels"]), float(held["error"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def save_halo(folder: Path, conditions: Any, halo: Halo) -> None:
    """Keep a halo in a model's folder, if that can be written to."""
    held = {"of": _fingerprint(folder, conditions), **asdict(halo)}
    try:
        write_text(folder / HALO, json.dumps(held, indent=2) + "\n")
    except OSError as error:
        log.info(
            "%s: cannot be written (%s), so the halo will be measured again", folder / HALO, error
        )


def _fingerprint(folder: Path, conditions: Any) -> str:
    digest = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode())
    for file in ModelFolder(folder).weights_files():
        digest.update(file.read_bytes())
    return digest.hexdigest()

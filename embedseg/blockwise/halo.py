"""Measured receptive field of a net, and the halo it implies."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.common import write_text
from embedseg.geometry import relative
from embedseg.types import Box, Maps, PerAxis

log = logging.getLogger("embedseg")

#: Halos that are tried, in multiples of the net's divisor along each axis.
TRIED = (1, 2, 3, 4, 6, 8, 12, 16)
#: What activated maps may be off by at the edge of a block.
TOLERANCE = 1e-3
#: Length of what is compared, pixels, along each axis.
CORE = 16
#: Pixels of the largest box that is looked at.
MOST = {2: 1024**2, 3: 160**3}
#: File in a model's folder that keeps what was found.
NAME = "halo.json"


@dataclass(frozen=True)
class Halo:
    """What was found for a net.

    Attributes
    ----------
    pixels : tuple of int
        How far a box has to reach beyond what is kept of it, along each axis.
    error : float
        Largest difference of an activated map within, to that of a far larger box.
    """

    pixels: PerAxis
    error: float


def probe(
    maps: Callable[[Box], Maps],
    shape: PerAxis,
    divisor: PerAxis,
    *,
    tolerance: float = TOLERANCE,
) -> Halo:
    """Find the smallest halo for which the maps at the edge of a block are right.

    The maps of a box in the middle of the image, with a halo that is made wider and wider, are
    compared with those that it has in the largest box there is room for.

    Parameters
    ----------
    maps : callable
        Maps of a box of the image.
    shape : tuple of int
        Of the image.
    divisor : tuple of int
        Boxes begin at its multiples.
    tolerance : float
        What activated maps may be off by.

    Returns
    -------
    Halo
        If none is wide enough, the widest that could be tried.
    """
    halos = list(_halos(shape, divisor))
    core = _box(shape, divisor, halos[-1], None)
    widest = _box(shape, divisor, halos[-1], core)
    reference = _kept(maps(widest), core, widest)
    found = Halo(halos[-1], 0.0)
    for halo in halos[:-1]:
        box = _box(shape, divisor, halo, core)
        error = float(np.abs(_kept(maps(box), core, box) - reference).max(initial=0))
        found = Halo(halo, error)
        if error < tolerance:
            return found
    if len(halos) > 1:
        log.warning(
            "the maps still change by %.2g with a halo of %s pixels; block borders may "
            "be off by as much",
            found.error,
            "x".join(map(str, halos[-1])),
        )
    return Halo(halos[-1], found.error)


def _halos(shape: PerAxis, divisor: PerAxis) -> Iterator[PerAxis]:
    """Return halos that fit into the image; the last one is for reference."""
    ndim, last = len(divisor), None
    for times in TRIED:
        # Where the net does not shrink an axis, its kernels still see along it.
        halo = tuple(times * max(2, d) for d in divisor)
        if last is not None and prod(2 * h + CORE for h in halo) > MOST[ndim]:
            break
        last = halo
        yield halo


def _box(shape: PerAxis, divisor: PerAxis, halo: PerAxis, core: Box | None) -> Box:
    """Return a box in the middle of an image, or a core with a halo, as far as the image goes."""
    sides = []
    for axis, (n, d, h) in enumerate(zip(shape, divisor, halo, strict=True)):
        if core is None:
            length = -(-CORE // d) * d
            start = max(0, (n - length) // 2 // d * d)
            sides.append(slice(start, min(n, start + length)))
        else:
            side, reach = core[axis], -(-h // d) * d
            sides.append(slice(max(0, side.start - reach), min(n, side.stop + reach)))
    return tuple(sides)


def _kept(maps: Maps, core: Box, box: Box) -> NDArray[np.float32]:
    """Return the activated maps of a core within a box."""
    local = (slice(None), *relative(core, box))
    return np.concatenate([maps[spec.name] for spec in maps.specs])[local]


# -- kept in the model -----------------------------------------------------------------------------
def remembered(folder: Path, about: Any) -> Halo | None:
    """Return what was found before for a model as it is now, None if nothing was.

    Parameters
    ----------
    folder : Path
        Of the model.
    about : object
        What else the halo depends on; it can be written as JSON.
    """
    try:
        held = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if held.pop("of") == _fingerprint(folder, about):
            return Halo(tuple(int(n) for n in held["pixels"]), float(held["error"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def remember(folder: Path, about: Any, halo: Halo) -> None:
    """Keep what was found in a model's folder, if that can be written to."""
    text = json.dumps({"of": _fingerprint(folder, about), **asdict(halo)}, indent=2) + "\n"
    try:
        write_text(folder / NAME, text)
    except OSError as error:
        log.info(
            "%s: cannot be written (%s), so the halo will be looked for again", folder / NAME, error
        )


def _fingerprint(folder: Path, about: Any) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for file in sorted(folder.rglob("weights.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()

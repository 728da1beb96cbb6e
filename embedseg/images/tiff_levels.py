"""Coarser levels of TIFFs: their pixel size and place."""

from __future__ import annotations

from collections.abc import Sequence

from embedseg.images.axes import SPACE
from embedseg.images.content import Layout, Scale


def coarsen_layout(layout: Layout, shape: Sequence[int]) -> Layout:
    """Return the layout of a coarser level, whose pixels are larger and begin further in.

    Parameters
    ----------
    layout : Layout
        Of the image itself.
    shape : sequence of int
        Shape of the level.

    Examples
    --------
    >>> from embedseg.images.content import make_plain_layout
    >>> fine = make_plain_layout((41, 80))._replace(sizes={"Y": 0.5, "X": 0.5})
    >>> coarse = coarsen_layout(fine, (10, 20))
    >>> coarse.sizes, coarse.scales["X"]
    ({'Y': 2.0, 'X': 2.0}, Scale(size=2.0, start=0.75, unit='micrometer'))
    """
    lengths = zip(layout.axes, layout.shape, shape, strict=True)
    factors = {axis: _factor(full, n) for axis, full, n in lengths if axis in SPACE}
    return layout._replace(
        shape=tuple(shape),
        sizes={axis: size * factors.get(axis, 1.0) for axis, size in layout.sizes.items()},
        scales={axis: _scale(layout, axis, factor) for axis, factor in factors.items()},
    )


def _factor(full: int, n: int) -> float:
    """Return how much coarser a level is; writers round its lengths up or down.

    Examples
    --------
    >>> _factor(81, 20), _factor(81, 21), _factor(100, 40)
    (4, 4, 2.5)
    """
    whole = round(full / n)
    return whole if full // whole <= n <= -(-full // whole) else full / n


def _scale(layout: Layout, axis: str, factor: float) -> Scale:
    size = layout.sizes.get(axis)
    step, unit = (1.0, None) if size is None else (size, "micrometer")
    return Scale(step * factor, step * (factor - 1) / 2, unit)

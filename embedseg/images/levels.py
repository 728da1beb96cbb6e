"""Levels of a pyramid, and the one that fits a pixel size."""

from __future__ import annotations

from pathlib import Path

from embedseg.images.display import log_once
from embedseg.images.lazy import LazyImage, open_lazy
from embedseg.types import Spacing

#: How much longer than wanted the pixels of a level may be: slides are rarely scanned at 0.25 µm
#: sharp, and a finer level takes many times as long.
LONGER = 1.05


def open_fitting(
    source: Path | str,
    axes: str | None = None,
    spacing: Spacing | None = None,
    level: int | None = None,
    target: Spacing | None = None,
) -> LazyImage:
    """Open an image at the level of its pyramid whose pixel size fits best, and log which it is.

    That is the coarsest one whose pixels are not longer than wanted, by more than 5 %, along any
    axis: the finest one if all are.

    Parameters
    ----------
    source, axes
        As in `open_lazy`.
    spacing : tuple of float, optional
        Size of a pixel of the level that is read, µm: of the finest one if `level` is not given.
    level : int, optional
        Level that is read whatever its pixel size is.
    target : tuple of float, optional
        Wanted size of a pixel along the axes of space, µm; None takes the finest level.

    Raises
    ------
    DataError, UsageError
        As in `open_lazy`.

    Examples
    --------
    >>> import tempfile, zarr
    >>> group = zarr.open_group(tempfile.mkdtemp() + "/a.zarr", mode="w")
    >>> axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    >>> levels = []
    >>> for name, size in ("0", 0.25), ("1", 0.5), ("2", 1.0):
    ...     _ = group.create_array(name, shape=(int(100 / size),) * 2, dtype="u1")
    ...     scale = [{"type": "scale", "scale": [size, size]}]
    ...     levels.append({"path": name, "coordinateTransformations": scale})
    >>> group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": levels}]}
    >>> path = str(group.store.root)
    >>> [open_fitting(path, target=(size, size)).spacing for size in (0.1, 0.8, 1.0)]
    [(0.25, 0.25), (0.5, 0.5), (1.0, 1.0)]
    """
    image = open_lazy(source, axes, spacing, level or 0)
    taken = level or 0
    if level is None and spacing is None and target is not None:
        for coarser in range(1, image.levels):
            found = open_lazy(source, axes, None, coarser)
            if not _is_fine(found.spacing, target):
                break
            image, taken = found, coarser
    if image.levels > 1:
        size = "of unknown size"
        if image.spacing is not None:
            size = "of " + " x ".join(f"{step:.4g}" for step in image.spacing) + " µm"
        log_once(image.source, f"level {taken} of 0 to {image.levels - 1} is read, pixels {size}")
    return image


def _is_fine(spacing: Spacing | None, target: Spacing) -> bool:
    if spacing is None or len(spacing) != len(target):
        return False
    return all(step <= LONGER * most for step, most in zip(spacing, target, strict=True))

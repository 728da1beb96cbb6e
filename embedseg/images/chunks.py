"""Chunks of stored arrays: a damaged one is named."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedseg.types import DataError


def read_box(source: str, stored: Any, box: tuple[slice, ...]) -> NDArray[Any]:
    """Read a box of a stored array; if a chunk cannot be read, the error names it.

    Parameters
    ----------
    source : str
        File or store, for messages.
    stored : array_like
        An array of zarr, HDF5 or numpy, or one like it.
    box : tuple of slice
        One per axis, without steps.

    Raises
    ------
    DataError
        If a chunk cannot be read.
    Exception
        Any other error of the decoder or the network.

    Examples
    --------
    >>> read_box("a.npy", np.arange(6).reshape(2, 3), (slice(0, 1), slice(1, 3)))
    array([[1, 2]])
    """
    try:
        return np.asarray(stored[box])
    except ImportError:
        raise
    except Exception as error:  # decoders raise anything
        found = _find_damaged(stored, box)
        if found is None:
            raise
        name, reason = found
        raise unreadable(f"{source}: {name}", reason) from error


def unreadable(name: str, error: Exception) -> DataError:
    """Return the error that something cannot be read, with that of its decoder.

    Examples
    --------
    >>> unreadable("a.zarr:", ValueError("5 bytes"))
    DataError('a.zarr: cannot be read, or is corrupt or truncated (ValueError: 5 bytes)')
    """
    reason = (str(error) or "no details").splitlines()[0]
    return DataError(
        f"{name} cannot be read, or is corrupt or truncated ({type(error).__name__}: {reason})"
    )


def _find_damaged(stored: Any, box: tuple[slice, ...]) -> tuple[str, Exception] | None:
    """Return name and error of the first chunk of a box that cannot be read; None if all can."""
    pieces = getattr(stored, "shards", None) or getattr(stored, "chunks", None)
    if pieces is None:
        return None
    sides = [side.indices(n)[:2] for side, n in zip(box, stored.shape, strict=True)]
    for place in product(
        *(range(a // c, -(-b // c)) for (a, b), c in zip(sides, pieces, strict=True))
    ):
        start = tuple(i * c for i, c in zip(place, pieces, strict=True))
        try:
            stored[tuple(slice(a, a + c) for a, c in zip(start, pieces, strict=True))]
        except Exception as error:  # decoders raise anything
            key = _chunk_key(stored, place)
            return f"chunk {key}(from pixel {', '.join(map(str, start))})", error
    return None


def _chunk_key(stored: Any, place: tuple[int, ...]) -> str:
    """Return the path of a chunk of zarr in its store, and a space; nothing for other arrays."""
    metadata = getattr(stored, "metadata", None)
    if metadata is None:
        return ""
    key = metadata.encode_chunk_key(place)
    return f"{stored.path}/{key} " if stored.path else f"{key} "

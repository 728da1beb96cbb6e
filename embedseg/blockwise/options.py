"""Options of blocks."""

from __future__ import annotations

from dataclasses import dataclass

from embedseg.types import PerAxis


@dataclass(frozen=True)
class BlockOptions:
    """How an image is cut into blocks, and by which processes they are segmented.

    Attributes
    ----------
    block : tuple of int, optional
        Size of the blocks, pixels; by default by the number of axes.
    halo : tuple of int, optional
        Pixels beyond a block up to which maps are decoded; by default by the size of the objects
        of the training data.
    workers : int
        Processes on this machine; 1 works in this one.
    scheduler : str, optional
        Address of a dask scheduler whose workers to use instead.
    threads : int, optional
        Of each process; results depend on it in the last digits.
    memory : str, optional
        Limit of each process, such as "4GB"; by default an equal share of what is free.
    """

    block: PerAxis | None = None
    halo: PerAxis | None = None
    workers: int = 1
    scheduler: str | None = None
    threads: int | None = None
    memory: str | None = None

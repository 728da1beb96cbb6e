"""Options of clustering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from embedseg.types import Spacing, UsageError


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Options of `cluster` and `cluster_raw`, checked; `cluster` describes each of them.

    Attributes
    ----------
    spacing : tuple of float
    unit, bandwidth_scale : float
    fg_threshold, seed_threshold : float
    min_object_size : int
    seeds : {"greedy", "peaks"}
    max_radius, refine : float, optional
    origin : tuple of int
        Empty for zeros.

    Raises
    ------
    UsageError
        For options out of range.

    Examples
    --------
    >>> ClusterOptions(spacing=(1.0, 0.5, 0.5), unit=10.0).ndim
    3
    """

    spacing: Spacing
    unit: float
    bandwidth_scale: float = 10.0
    fg_threshold: float = 0.5
    seed_threshold: float = 0.9
    min_object_size: int = 0
    seeds: Literal["greedy", "peaks"] = "greedy"
    max_radius: float | None = None
    refine: float | None = None
    origin: tuple[int, ...] = ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spacing)

    def __post_init__(self) -> None:
        if self.seeds not in ("greedy", "peaks"):
            raise UsageError(f"seeds is {self.seeds!r}, expected 'greedy' or 'peaks'")
        for name in ("fg_threshold", "seed_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected a value from 0 to 1")
        if self.ndim not in (2, 3):
            raise UsageError(f"spacing {self.spacing} has {self.ndim} axes, expected 2 or 3")
        for name in ("unit", "max_radius"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}, expected a value above 0")
        if self.refine is not None and not 0 < self.refine < 1:
            raise UsageError(f"refine is {self.refine}, expected a likelihood between 0 and 1")
        if not self.min_object_size >= 0:
            raise UsageError(f"min_object_size is {self.min_object_size}, expected 0 or more")
        if self.origin and (len(self.origin) != self.ndim or min(self.origin) < 0):
            raise UsageError(f"origin is {self.origin}, expected {self.ndim} values of 0 or more")
        if not min(self.spacing) > 0:
            raise UsageError(f"spacing is {self.spacing}, expected values above 0")

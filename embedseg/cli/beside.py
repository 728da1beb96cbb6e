"""Objects and tracks written beside labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedseg.cli.options import parse_list
from embedseg.common import plural

if TYPE_CHECKING:
    from embedseg.tracking import Tracked

#: What is printed whenever objects are linked.
LIMITS = (
    "tracks are guesses by overlap, distance and size: check them where cells jump, merge, or are "
    "missing for more than a frame; the page 'Films and tracks' has more"
)


def parse_formats(text: str | None, tracks: bool = False) -> tuple[str, ...]:
    """Parse the formats to write beside labels, and check them before anything is computed.

    Parameters
    ----------
    text : str, optional
        Names, with commas.
    tracks : bool
        Whether objects are linked, which some formats need.

    Examples
    --------
    >>> parse_formats("csv, geojson"), parse_formats(None)
    (('csv', 'geojson'), ())
    """
    from embedseg.export import EXPORTERS, check_format
    from embedseg.types import UsageError

    formats = tuple(parse_list(text))
    for kind in formats:
        check_format(kind)
        if EXPORTERS[kind].tracks and not tracks:
            raise UsageError(f"--also {kind}: is for films whose objects are linked; add --track")
    return formats


def list_beside(target: Path, formats: Sequence[str]) -> list[Path]:
    """Return the path that labels are written to in each format."""
    from embedseg.export import EXPORTERS

    return [target.with_suffix(EXPORTERS[kind].suffix) for kind in formats]


def tracks_table(target: Path) -> Path:
    """Return the path of the table of tracks of a label film."""
    return target.with_name(f"{target.stem}_tracks.csv")


def describe_tracks(found: Tracked, spacing_known: bool) -> str:
    """Return the number of tracks and divisions, and the distance that was allowed."""
    parents = {track.parent for track in found.tracks if track.parent}
    unit = "µm" if spacing_known else "pixels"
    return (
        f"{plural(len(found.tracks), 'track')}, {plural(len(parents), 'division')}, "
        f"links up to {found.max_distance:.3g} {unit}"
    )

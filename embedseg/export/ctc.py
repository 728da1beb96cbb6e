"""Label films as the Cell Tracking Challenge's folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedseg.export.exporters import ObjectFormat
from embedseg.export.objects import Objects
from embedseg.images import write_tiff
from embedseg.tracking import split_gaps
from embedseg.types import DataError

#: Numbers of tracks are uint16.
MOST_TRACKS = 2**16 - 1
TABLE, MASKS = "res_track.txt", "mask*.tif"


def write_ctc(path: Path, objects: Objects) -> None:
    """Write a mask per frame, and the table of tracks: number, first frame, last frame, parent.

    Pixels that are not annotated become background. A track that misses a frame becomes two, the
    first one parent of the second: in the format each track is in all frames of its span.

    Parameters
    ----------
    path : Path
        An empty folder.
    objects : Objects

    Raises
    ------
    DataError
        If there are more tracks than uint16 has numbers.
    """
    labels, tracks = split_gaps(objects.labels, objects.tracks or ())
    if len(tracks) > MOST_TRACKS:
        raise DataError(f"{objects.name}: {len(tracks)} tracks, ctc holds at most {MOST_TRACKS}")
    digits, axes = max(3, len(str(len(labels) - 1))), "ZYX"[-objects.ndim :]
    for frame, mask in enumerate(labels):
        pixels = np.maximum(mask, 0).astype(np.uint16)
        write_tiff(path / f"mask{frame:0{digits}d}.tif", pixels, objects.spacing, axes)
    rows = (f"{each.number} {each.first} {each.last} {each.parent}\n" for each in tracks)
    (path / TABLE).write_text("".join(rows), encoding="ascii")


FORMAT = ObjectFormat(".ctc", write_ctc, folder=True, files=(TABLE, MASKS), films=True, tracks=True)

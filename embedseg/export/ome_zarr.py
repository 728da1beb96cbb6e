"""Label images as OME-Zarr stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedseg.export.exporters import ObjectFormat
from embedseg.export.objects import Objects
from embedseg.images import add_pyramid, create_labels, open_array

#: Pixels of a chunk along each axis, of images and of volumes.
CHUNKS = {2: (1024, 1024), 3: (64, 128, 128)}


def write_zarr(path: Path, objects: Objects) -> None:
    """Write labels as an OME-Zarr store; pixels that are not annotated keep their -1.

    Parameters
    ----------
    path : Path
        An empty folder.
    objects : Objects
    """
    labels, chunks = objects.labels, CHUNKS[objects.ndim]
    smallest, largest = int(labels.min(initial=0)), int(labels.max(initial=0))
    dtype = np.int32 if smallest < 0 else np.uint16 if largest < 2**16 else np.uint32
    path.rmdir()  # it is made anew
    axes, spacing = "ZYX"[-objects.ndim :], objects.spacing
    create_labels(path, labels.shape, dtype, axes, spacing, chunks=chunks, scales=objects.scales)
    array = open_array(path)
    for start in range(0, len(labels), chunks[0]):
        array[start : start + chunks[0]] = labels[start : start + chunks[0]].astype(dtype)
    add_pyramid(path, progress=objects.progress)


FORMAT = ObjectFormat(".zarr", write_zarr, "zarr", "large", folder=True)

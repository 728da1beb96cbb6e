"""Labels inserted into an OME-Zarr image.

::

    image.zarr/labels/NAME   labels as of `embedseg.images.ome_zarr`; the group `labels` lists them
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from embedseg.images.ome_zarr import add_levels, store_version
from embedseg.types import UsageError


def insert_labels(labels: Path, image: Path, name: str) -> Path:
    """Move finished labels into an OME-Zarr image on the same disk, and list them there.

    They get as many levels as the image has, as NGFF requires.

    Parameters
    ----------
    labels : Path
        Group as `add_pyramid` leaves it.
    image : Path
        Group of the image.
    name : str
        Name of the labels there.

    Returns
    -------
    Path
        Their folder: `image/labels/name`.

    Raises
    ------
    UsageError
        If such labels exist, or the two are stored in different versions.
    """
    import zarr

    target, version = image / "labels" / name, store_version(image)
    if Path(name).name != name:
        raise UsageError(f"labels {name!r}: expected a plain name")
    if target.exists():
        raise UsageError(f"{target}: exists; choose another name")
    if (own := store_version(labels)) != version:
        raise UsageError(
            f"{labels}: is stored as NGFF {own}, but {image} as {version}; expected the same"
        )
    wanted, there = _levels(image), _levels(labels)
    if wanted and wanted != there:
        add_levels(labels, min(wanted, there), 0, wanted, False)
    _rename(labels, name)
    group = zarr.open_group(image / "labels", mode="a", zarr_format=2 if version == "0.4" else 3)
    # Listed before they are moved: readers skip missing labels, and a run that was killed in
    # between can be repeated.
    held: Any = group.attrs.asdict()
    ours = held.setdefault("ome", {"version": version}) if version == "0.5" else held
    ours["labels"] = [*(other for other in ours.get("labels", []) if other != name), name]
    group.attrs.put(held)
    labels.rename(target)
    _consolidate(image)
    return target


def _levels(path: Path) -> int:
    """Return the number of levels of an OME-Zarr image; 0 if its metadata list none."""
    import zarr

    held: Any = zarr.open_group(path, mode="r").attrs.asdict()
    images = held.get("ome", held).get("multiscales")
    return len(images[0]["datasets"]) if images else 0


def _rename(labels: Path, name: str) -> None:
    import zarr

    group = zarr.open_group(labels, mode="r+")
    held: Any = group.attrs.asdict()
    held.get("ome", held)["multiscales"][0]["name"] = name
    group.attrs.put(held)


def _consolidate(image: Path) -> None:
    """Update the consolidated metadata of an image, if it has any."""
    import zarr

    held = zarr.open_group(image, mode="r").metadata.consolidated_metadata
    if held is None:
        return
    with warnings.catch_warnings():
        # Zarr v3 has them, but not in its specification yet.
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(image)

"""Origin of label images: the image, model and settings that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedseg.images.inputs import split_container
from embedseg.images.ome_zarr import KEY
from embedseg.types import UsageError

#: What the origin follows in the tag Software of a TIFF; its entry in `KEY` of a store.
MARK, ORIGIN = "embedseg", "origin"
#: Most differences that a message names.
SHOWN = 4

Origin = Mapping[str, Any]


def identify_image(source: Path | str) -> str:
    """Return the name of an image, and the size of its file if it is one.

    Examples
    --------
    >>> identify_image("s3://bucket/brain.zarr"), identify_image("in/A/1/0")
    ('brain.zarr', '0')
    """
    name = str(source).rstrip("/").rpartition("/")[2]
    file = split_container(Path(source))[0]
    return f"{name} of {file.stat().st_size} bytes" if file.is_file() else name


def origin_tag(origin: Origin | None) -> str | None:
    """Return the text of the tag Software of a TIFF; None leaves the tag to the writer."""
    return None if origin is None else f"{MARK} {json.dumps(origin)}"


def keep_origin(store: Path, origin: Origin | None) -> None:
    """Keep the origin of labels in their group, made by `create_labels`."""
    import zarr

    if origin is not None:
        group = zarr.open_group(store, mode="r+")
        made: Any = group.attrs[KEY]
        group.attrs[KEY] = {**made, ORIGIN: dict(origin)}


def read_origin(path: Path) -> dict[str, Any] | None:
    """Read the origin of a label image, a TIFF or a store; None if it has none.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from embedseg.images.image import write_labels
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> write_labels(path, np.ones((4, 5), np.int32), None, "YX", origin={"image": "a.png"})
    >>> read_origin(path)
    {'image': 'a.png'}
    """
    try:
        held = _read_store(path) if path.is_dir() else _read_tiff(path)
    except Exception:  # decoders raise anything; reading the labels reports what is wrong
        return None
    return held if isinstance(held, dict) else None


def _read_store(path: Path) -> Any:
    import zarr

    made: Any = zarr.open_group(path, mode="r", use_consolidated=False).attrs[KEY]
    return made.get(ORIGIN)


def _read_tiff(path: Path) -> Any:
    import tifffile

    with tifffile.TiffFile(path) as file:
        text = str(file.pages.first.tags.valueof("Software", default=""))
    return json.loads(text.removeprefix(f"{MARK} "))


def check_origin(path: Path, origin: Origin) -> None:
    """Check that a label image which is to stay was made as it would be made now.

    Raises
    ------
    UsageError
        If it was not, or does not hold what made it.
    """
    held = read_origin(path)
    if held is None:
        raise UsageError(
            f"{path}: does not hold which model and settings made it, as files of other programs "
            "and earlier versions; choose another -o, move it away, or --overwrite"
        )
    if others := name_differences(held, origin):
        raise UsageError(f"{path}: made with {others}; choose another -o, or --overwrite")


def name_differences(held: Origin, now: Origin) -> str:
    """Name what differs between two origins; empty if nothing does.

    Examples
    --------
    >>> name_differences({"method.min_score": 0.5, "tta": True}, {"method.min_score": 0.6})
    'method.min_score 0.5, now 0.6; tta True, now not set'
    """
    # As JSON has them: tuples are lists.
    now = json.loads(json.dumps(now))
    names = [name for name in {**now, **held} if held.get(name) != now.get(name)]
    listed = [
        "another model"
        if name == "weights"
        else f"{name} {_shown(held.get(name))}, now {_shown(now.get(name))}"
        for name in names[:SHOWN]
    ]
    return "; ".join(listed) + " ..." * (len(names) > SHOWN)


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)[:100]

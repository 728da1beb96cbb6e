"""OME-Zarr stores as other programs write them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

with warnings.catch_warnings():
    # It uses what it says is deprecated while it is imported.
    warnings.filterwarnings("ignore", message="Call to deprecated class Scaler")
    from ome_zarr.format import format_from_version
    from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

FORMATS = {"0.4": 2, "0.5": 3}
KINDS = {"t": "time", "c": "channel"}


def write_store(
    path: Path | str,
    data: Any,
    axes: str = "TCZYX",
    version: str = "0.4",
    scale: Mapping[str, float] | None = None,
    translation: Mapping[str, float] | None = None,
    levels: int = 2,
    unit: str | None = "micrometer",
) -> Path:
    """Write an image whose levels are the mean of 2 by 2 pixels, each with its place."""
    group = zarr.open_group(path, mode="w", zarr_format=FORMATS[version])
    described = [
        {
            "name": axis,
            "type": KINDS.get(axis, "space"),
            **({"unit": unit} if unit and axis not in KINDS else {}),
        }
        for axis in axes.lower()
    ]
    datasets = []
    for level in range(levels):
        group.create_array(
            str(level), data=np.asarray(data), chunks=(*(1,) * (len(axes) - 2), 32, 32)
        )
        sizes = [(scale or {}).get(a, 1.0) * (2**level if a in "YX" else 1) for a in axes]
        starts = [
            (translation or {}).get(a, 0.0)
            + (scale or {}).get(a, 1.0) * ((2**level - 1) / 2 if a in "YX" else 0)
            for a in axes
        ]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": sizes},
                    {"type": "translation", "translation": starts},
                ],
            }
        )
        *outer, rows, columns = data.shape
        cells = data[..., : rows // 2 * 2, : columns // 2 * 2]
        cells = cells.reshape(*outer, rows // 2, 2, columns // 2, 2)
        data = cells.mean(axis=(-3, -1)).astype(data.dtype)
    image = {"axes": described, "datasets": datasets, "name": "image"}
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": version, **image}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return Path(path)


def write_series(path: Path, images: Iterable[Any], version: str = "0.4", **more: Any) -> Path:
    """Write images as bioformats2raw does."""
    top = zarr.open_group(path, mode="w", zarr_format=FORMATS[version])
    names = []
    for number, data in enumerate(images):
        write_store(path / str(number), data, version=version, **more)
        names.append(str(number))
    held = {"bioformats2raw.layout": 3}
    ome = top.create_group("OME")
    listed: dict[str, Any] = {"series": names}
    if version == "0.4":
        top.attrs.update(held)
        ome.attrs.update(listed)
    else:
        top.attrs["ome"] = {"version": version, **held}
        ome.attrs["ome"] = {"version": version, **listed}
    (path / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    return path


def write_plate(
    path: Path, fields: Mapping[str, Any], version: str = "0.4", scale: float = 0.5
) -> Path:
    """Write a plate by ome-zarr: images (Y, X) by row, column and field, such as A/1/0."""
    fmt = format_from_version(version)
    group = zarr.open_group(path, mode="w", zarr_format=FORMATS[version])
    wells: dict[str, list[str]] = {}
    for name in fields:
        well, _, field = name.rpartition("/")
        wells.setdefault(well, []).append(field)
    rows = sorted({well.split("/")[0] for well in wells})
    columns = sorted({well.split("/")[1] for well in wells})
    write_plate_metadata(group, rows, columns, list(wells), fmt=fmt)
    for well, names in wells.items():
        inside = group.require_group(well)
        write_well_metadata(inside, names, fmt=fmt)
        for name in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the writer warns of itself
                write_image(
                    fields[f"{well}/{name}"],
                    inside.require_group(name),
                    axes="yx",
                    fmt=fmt,
                    scale={"y": scale, "x": scale},
                    axes_units={"y": "micrometer", "x": "micrometer"},
                    scale_factors=[2],
                )
    return path

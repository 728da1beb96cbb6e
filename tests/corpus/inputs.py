"""All inputs by name, and the commands that read them."""

from __future__ import annotations

from pathlib import Path

from corpus.case import Case, file_case
from corpus.folders import FOLDERS, NAMES, OPTIONS
from corpus.models import MODELS, PACKAGES
from corpus.outlines import OUTLINES
from corpus.stores import HDF5, PICTURES, ZARR
from corpus.tiffs import TIFFS


def list_cases(model: Path) -> dict[str, Case]:
    """Return all cases by name, given a trained model: some are broken copies of it."""
    return {
        **{f"TIFF, {name}": file_case(file) for name, file in TIFFS.items()},
        **{f"PNG, {n}": file_case(each._replace(name="odd.png")) for n, each in PICTURES.items()},
        **{f"HDF5, {n}": file_case(each._replace(name="odd.h5")) for n, each in HDF5.items()},
        **{f"OME-Zarr, {name}": case for name, case in ZARR.items()},
        **OUTLINES,
        **{f"data folder, {name}": case for name, case in FOLDERS.items()},
        **NAMES,
        **{f"model, {name}": each.case(model) for name, each in MODELS.items()},
        **{f"package, {name}": each.case(model) for name, each in PACKAGES.items()},
        **OPTIONS,
    }

"""Libraries that are not installed with the package, but with one of its extras."""

from __future__ import annotations

import shlex

from embedseg.types import UsageError

#: Libraries of each extra that functions ask for; a test holds them to `setup.py`.
EXTRAS: dict[str, tuple[str, ...]] = {
    "bioio": ("bioio", "bioio-czi", "bioio-lif", "bioio-nd2"),
    "graph": ("bioimage-cpp",),
    "hdf5": ("h5py",),
    "large": ("bokeh", "dask[distributed]", "ome-zarr", "zarr"),
    "log": ("tensorboard",),
    "mesh": ("fast-simplification", "trimesh"),
    "rois": ("roifile",),
    "track": ("laptrack",),
    "zoo": ("bioimageio.core", "onnx", "onnxruntime", "onnxscript", "pydantic<2.14"),
}


def missing_library(what: str, error: ImportError, extra: str) -> UsageError:
    """Return an error with the command that installs what is missing.

    Parameters
    ----------
    what : str
        What needs it, with a verb: "meshes need".
    error : ImportError
        Of the import; with the name of the library, or words about it.
    extra : str
        The extra that installs it.

    Examples
    --------
    >>> print(missing_library("meshes need", ImportError(name="trimesh"), "mesh"))
    meshes need trimesh: pip install fast-simplification trimesh
    >>> print(missing_library("a.zarr: needs", ImportError("install s3fs"), "hdf5"))
    a.zarr: needs a library (install s3fs): pip install h5py
    """
    name = error.name or f"a library ({error})"
    return UsageError(f"{what} {name}: pip install {shlex.join(EXTRAS[extra])}")

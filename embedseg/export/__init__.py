"""Segmentations in the formats of other programs, and back.

::

    _drawing_kernels.py    Compiled parts of drawing surfaces
    _measuring_kernels.py  Compiled parts of measuring
    _tracing_kernels.py    Compiled parts of outline tracing
    coco.py                COCO instances, written and read
    ctc.py                 Label films as the Cell Tracking Challenge's folders
    exporters.py           Exporters of objects by format
    geojson.py             GeoJSON as QuPath writes and reads it
    importers.py           Importers of outlines by suffix
    measures.py            Measures of objects: place, size, shape, neighbours, intensity
    mesh.py                Meshes of objects by marching cubes, in µm
    mesh_files.py          Mesh files (STL, PLY, OBJ, GLB) and their table
    mesh_preview.py        Pictures of meshes
    nesting.py             Outlines that lie inside others
    objects.py             Objects of a label image, as exporters write them
    ome_zarr.py            Label images as OME-Zarr stores
    outlines.py            Outlines of objects along pixel edges
    painting.py            Label images painted from outlines
    rasterize.py           Outlines rasterised
    roi.py                 ImageJ ROIs, written and read
    smoothing.py           Mesh smoothing, decimation and measures
    table.py               Tables of objects as CSV
    trackmate.py           Tracks as XML that TrackMate reads
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

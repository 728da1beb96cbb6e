"""Image files and stores: pixels, axes, pixel size.

::

    axes.py         Axes of stored arrays, and their order (T, C, Z, Y, X)
    channels.py     Channels of an image, chosen by name or number
    chunks.py       Chunks of stored arrays: a damaged one is named
    content.py      Content of a file: pixels, axes, pixel size, names of channels
    display.py      Stored values and what they are shown as: white as 0, palettes
    films.py        Synthetic films of cells with known tracks
    formats.py      Readers of image files by suffix
    hdf5.py         HDF5 datasets: pixels, axes, pixel size
    image.py        Images and label images read and written
    inputs.py       Input files from paths, folders and patterns
    insertion.py    Labels inserted into an OME-Zarr image
    lazy.py         Images of any size, read box by box
    levels.py       Levels of a pyramid, and the one that fits a pixel size
    microscopes.py  Microscope files (CZI, ND2, LIF) through bioio
    multiscales.py  Metadata of zarr arrays and OME-Zarr images: axes, pixel size, channels
    normalize.py    Normalisation of whole images, channel by channel
    ome_files.py    OME-TIFF images that lie in several files
    ome_zarr.py     Label images as OME-Zarr: written by chunk, with coarser levels
    origins.py      Origin of label images: the image, model and settings that made them
    parts.py        Images of a file that holds several, by number or name
    pixel_source.py  Places where the pixels of images lie, and reading of boxes there
    pyramid.py      Coarser levels of label images
    slices.py       Folders with one file per slice, read box by box
    sources.py      Sources of large images: files and folders
    stack.py        Stacks of slices: read as a volume, written back
    stores.py       Zarr stores: arrays, OME-Zarr images, and groups of images
    synthetic.py    Synthetic images of blobs with known labels
    tiff.py         TIFF files: OME, ImageJ, plain
    tiff_levels.py  Coarser levels of TIFFs: their pixel size and place
    tiff_series.py  Images of a TIFF file, and the one that is meant
    zarr_checks.py  Zarr arrays whose chunks are checked for their length before they are decoded
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

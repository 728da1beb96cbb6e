from .content import microns as microns
from .formats import READERS as READERS
from .hdf5 import CONTAINERS as CONTAINERS, LABEL as LABEL
from .image import (
    Image as Image,
    label_values as label_values,
    read_image as read_image,
    read_labels as read_labels,
    write_labels as write_labels,
)
from .inputs import expand_inputs as expand_inputs, stem as stem
from .lazy import LazyImage as LazyImage, is_lazy_source as is_lazy_source, open_lazy as open_lazy
from .normalize import (
    Absolute as Absolute,
    Fixed as Fixed,
    Normalization as Normalization,
    Percentile as Percentile,
    ZScore as ZScore,
)
from .ome_zarr import (
    Filling as Filling,
    add_pyramid as add_pyramid,
    create_labels as create_labels,
    fill_box as fill_box,
    open_array as open_array,
    put_inside as put_inside,
    store_version as store_version,
)
from .slices import slice_files as slice_files
from .stack import read_stack as read_stack, resized as resized, write_slices as write_slices
from .synthetic import blobs as blobs, write_blobs as write_blobs
from .tiff import write_tiff as write_tiff

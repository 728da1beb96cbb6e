from .axes import (
    SPACE as SPACE,
    axis_lengths as axis_lengths,
    label_axes as label_axes,
    space_axes as space_axes,
)
from .chunks import read_box as read_box
from .content import Scale as Scale, first_pixel as first_pixel, to_microns as to_microns
from .formats import READERS as READERS
from .hdf5 import CONTAINERS as CONTAINERS, LABEL as LABEL
from .image import (
    Image as Image,
    drop_equal_colours as drop_equal_colours,
    read_image as read_image,
    read_label_values as read_label_values,
    read_labels as read_labels,
    write_labels as write_labels,
)
from .inputs import (
    check_link as check_link,
    expand_inputs as expand_inputs,
    name_outputs as name_outputs,
    split_container as split_container,
    stem as stem,
)
from .insertion import insert_labels as insert_labels
from .lazy import (
    LazyImage as LazyImage,
    open_lazy as open_lazy,
    read_store as read_store,
)
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
    check_output_store as check_output_store,
    create_labels as create_labels,
    fill_box as fill_box,
    open_array as open_array,
    store_version as store_version,
)
from .origins import (
    Origin as Origin,
    check_origin as check_origin,
    identify_image as identify_image,
    keep_origin as keep_origin,
    name_differences as name_differences,
    origin_tag as origin_tag,
    read_origin as read_origin,
)
from .slices import find_slices as find_slices
from .stack import (
    read_stack as read_stack,
    resize_slices as resize_slices,
    write_slices as write_slices,
)
from .stores import (
    STORE_FILES as STORE_FILES,
    is_lazy_source as is_lazy_source,
    list_fields as list_fields,
)
from .synthetic import blobs as blobs, write_blobs as write_blobs
from .tiff import write_tiff as write_tiff

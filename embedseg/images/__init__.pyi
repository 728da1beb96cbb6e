from .axes import (
    SPACE as SPACE,
    axis_lengths as axis_lengths,
    label_axes as label_axes,
    space_axes as space_axes,
)
from .channels import (
    count_channels as count_channels,
    drop_equal_colours as drop_equal_colours,
    fit_channels as fit_channels,
    list_channels as list_channels,
    take_channels as take_channels,
)
from .chunks import read_box as read_box
from .content import Scale as Scale, first_pixel as first_pixel, to_microns as to_microns
from .films import cell_film as cell_film
from .formats import PICTURES as PICTURES, READERS as READERS, SLIDES as SLIDES
from .hdf5 import CONTAINERS as CONTAINERS, LABEL as LABEL
from .image import (
    Image as Image,
    read_image as read_image,
    read_label_values as read_label_values,
    read_labels as read_labels,
    write_labels as write_labels,
)
from .inputs import (
    check_link as check_link,
    expand_inputs as expand_inputs,
    expand_sources as expand_sources,
    name_outputs as name_outputs,
    split_container as split_container,
    stem as stem,
)
from .insertion import insert_labels as insert_labels
from .lazy import (
    LazyImage as LazyImage,
    open_lazy as open_lazy,
)
from .levels import open_fitting as open_fitting
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
from .pixel_source import are_equal_colours as are_equal_colours
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
    list_labels as list_labels,
)
from .synthetic import blobs as blobs, write_blobs as write_blobs
from .tiff import write_tiff as write_tiff

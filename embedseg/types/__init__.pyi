from .aliases import (
    LARGEST_PIXEL as LARGEST_PIXEL,
    LONGEST as LONGEST,
    NOT_ANNOTATED as NOT_ANNOTATED,
    OUTSIDE as OUTSIDE,
    SMALLEST_PIXEL as SMALLEST_PIXEL,
    Box as Box,
    Floats as Floats,
    Indices as Indices,
    Labels as Labels,
    Mask as Mask,
    PerAxis as PerAxis,
    Spacing as Spacing,
)
from .checks import (
    arrange as arrange,
    check_image as check_image,
    check_labels as check_labels,
    fill_missing as fill_missing,
    missing_pixels as missing_pixels,
)
from .errors import (
    DataError as DataError,
    UsageError as UsageError,
)
from .maps import (
    ACTIVATIONS as ACTIVATIONS,
    Maps as Maps,
    MapSpec as MapSpec,
    Segmentation as Segmentation,
    channel_slices as channel_slices,
)

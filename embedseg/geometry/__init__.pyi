from .blocks import (
    Block as Block,
    find_blocks as find_blocks,
    largest_inner_shape as largest_inner_shape,
    relative_box as relative_box,
    split_blocks as split_blocks,
)
from .grid import pad_to_multiple as pad_to_multiple
from .resampling import (
    check_spacing as check_spacing,
    gaussian_smooth as gaussian_smooth,
    mask_along as mask_along,
    resample as resample,
    resample_labels as resample_labels,
    resample_to_shape as resample_to_shape,
    spacings_agree as spacings_agree,
)
from .symmetry import (
    Symmetry as Symmetry,
    lift_offset as lift_offset,
    paired_boxes as paired_boxes,
    symmetries as symmetries,
)

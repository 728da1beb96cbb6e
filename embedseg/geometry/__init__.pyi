from .blocks import (
    Block as Block,
    largest_inner_shape as largest_inner_shape,
    overlapping as overlapping,
    relative as relative,
    split as split,
)
from .grid import pad_to_multiple as pad_to_multiple
from .resampling import (
    resample as resample,
    resample_labels as resample_labels,
    same_spacing as same_spacing,
    smoothed as smoothed,
    to_shape as to_shape,
)
from .symmetry import Symmetry as Symmetry, symmetries as symmetries

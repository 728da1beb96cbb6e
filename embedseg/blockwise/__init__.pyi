from .estimate import estimate_blocks as estimate_blocks
from .plan import BlockOptions as BlockOptions
from .segment import Result as Result, segment_blocks as segment_blocks

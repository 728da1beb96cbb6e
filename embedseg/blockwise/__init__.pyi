from .estimate import estimate_blocks as estimate_blocks
from .options import BlockOptions as BlockOptions
from .runs import Result as Result
from .segment import segment_blocks as segment_blocks

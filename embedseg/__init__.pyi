from .blockwise import BlockOptions as BlockOptions
from .common.version import __version__ as __version__
from .images import (
    read_image as read_image,
    read_labels as read_labels,
    write_labels as write_labels,
)
from .model import Config as Config, plan as plan
from .scoring import score as score
from .segmenter import Segmenter as Segmenter

from .common.version import __version__ as __version__
from .images import read_image as read_image
from .model import Config as Config, plan as plan
from .scoring import score as score
from .segmenter import Segmenter as Segmenter

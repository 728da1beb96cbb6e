from .augment import PRESETS as PRESETS, Augment as Augment
from .classes import (
    ClassOptions as ClassOptions,
    colour_of as colour_of,
    to_indices as to_indices,
    to_values as to_values,
)
from .crops import Crops as Crops
from .folder import find_data as find_data
from .folder_check import check_folder as check_folder
from .new_pair import add_pair as add_pair
from .options import DataOptions as DataOptions
from .pairing import pair_files as pair_files
from .samples import (
    Sample as Sample,
    frames as frames,
    load_split as load_split,
    load_training as load_training,
    to_planes as to_planes,
    to_spacing as to_spacing,
    with_classes as with_classes,
)
from .statistics import Statistics as Statistics, compute_statistics as compute_statistics

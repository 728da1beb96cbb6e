from .augment import PRESETS as PRESETS, Augment as Augment
from .classes import (
    ClassOptions as ClassOptions,
    default_colour as default_colour,
    to_class_indices as to_class_indices,
    to_mask_values as to_mask_values,
)
from .crops import Crops as Crops
from .folder import SPLITS as SPLITS, find_splits as find_splits
from .folder_check import check_folder as check_folder, check_masks as check_masks
from .new_pair import add_pair as add_pair
from .options import DataOptions as DataOptions, PixelSize as PixelSize
from .pairing import pair_folders as pair_folders
from .prepared import prepare_samples as prepare_samples
from .samples import (
    Sample as Sample,
    annotated_samples as annotated_samples,
    infer_classes as infer_classes,
    load_split as load_split,
    load_training as load_training,
    resample_sample as resample_sample,
    split_frames as split_frames,
    split_planes as split_planes,
    warn_of_unused as warn_of_unused,
)
from .statistics import Statistics as Statistics, compute_statistics as compute_statistics
from .swapped import find_grey as find_grey

from .config import (
    Config as Config,
    load_config as load_config,
    parse_duration as parse_duration,
    parse_memory as parse_memory,
    parse_value as parse_value,
    save_config as save_config,
)
from .costs import check_memory as check_memory, fit_to_memory as fit_to_memory
from .ensemble import join_models as join_models
from .finetuning import start_from as start_from
from .fitting import fit_net as fit_net, validation_samples as validation_samples
from .folder import (
    HALO as HALO,
    LEFT as LEFT,
    MODEL as MODEL,
    NEEDED as NEEDED,
    PARTS as PARTS,
    ModelFolder as ModelFolder,
)
from .origin import origin_of as origin_of
from .planning import (
    describe_data as describe_data,
    describe_settings as describe_settings,
    explain as explain,
    find_preset as find_preset,
    measure_data as measure_data,
    plan as plan,
    plan_from as plan_from,
    plan_reading as plan_reading,
)
from .predictor import Predictor as Predictor, open_model as open_model
from .segmentation import (
    Request as Request,
    check_pixel_size as check_pixel_size,
    decode_maps as decode_maps,
    predict_maps as predict_maps,
    segment_image as segment_image,
)
from .trained_net import TrainedNet as TrainedNet, load_trained_net as load_trained_net
from .tuning import Tuned as Tuned

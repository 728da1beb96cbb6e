from .config import (
    Config as Config,
    load_config as load_config,
    parse_duration as parse_duration,
    parse_memory as parse_memory,
    parse_value as parse_value,
    save_config as save_config,
)
from .costs import within as within
from .ensemble import (
    ENSEMBLE as ENSEMBLE,
    Ensemble as Ensemble,
    join_models as join_models,
    read_ensemble as read_ensemble,
    tune_ensemble as tune_ensemble,
    write_ensemble as write_ensemble,
)
from .finetuning import take_over as take_over
from .planning import (
    data_in_words as data_in_words,
    explain as explain,
    find_preset as find_preset,
    measured as measured,
    plan as plan,
    plan_from as plan_from,
    reading as reading,
    settings_in_words as settings_in_words,
)
from .trained_net import (
    COARSEST_SIDE_VIEW as COARSEST_SIDE_VIEW,
    TrainedNet as TrainedNet,
    load_trained_net as load_trained_net,
    read_model as read_model,
)
from .tuning import (
    TUNING as TUNING,
    Tuned as Tuned,
    read_tuned as read_tuned,
    tune as tune,
    write_tuned as write_tuned,
)

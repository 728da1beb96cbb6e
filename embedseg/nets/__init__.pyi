from .base import Net as Net, NetOptions as NetOptions
from .devices import (
    available_memory as available_memory,
    computes_bfloat16 as computes_bfloat16,
    evaluating as evaluating,
    is_out_of_memory as is_out_of_memory,
    peak_memory as peak_memory,
    resolve_device as resolve_device,
)
from .fused import LAYOUTS as LAYOUTS, fused_for_inference as fused_for_inference
from .memory import (
    DECODING as DECODING,
    IMAGE as IMAGE,
    MAPS as MAPS,
    PROCESS as PROCESS,
    SHARES as SHARES,
    pixels_that_fit as pixels_that_fit,
    prediction_memory as prediction_memory,
    training_memory as training_memory,
)
from .registry import NETS as NETS, net_options as net_options
from .weights import (
    WEIGHTS as WEIGHTS,
    load_weights as load_weights,
    not_finite as not_finite,
    save_weights as save_weights,
)

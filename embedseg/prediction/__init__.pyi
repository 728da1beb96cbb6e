from .averaging import (
    from_average as from_average,
    to_average as to_average,
    to_float16 as to_float16,
)
from .options import PredictOptions as PredictOptions
from .planes import predict_planes as predict_planes
from .tiles import pixels_seen as pixels_seen, predict as predict

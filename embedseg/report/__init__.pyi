from .gallery import Gallery as Gallery
from .reports import (
    benchmark_report as benchmark_report,
    evaluation_report as evaluation_report,
    prediction_report as prediction_report,
    training_report as training_report,
)

from .gallery import Gallery as Gallery
from .reports import (
    write_benchmark_report as write_benchmark_report,
    write_evaluation_report as write_evaluation_report,
    write_prediction_report as write_prediction_report,
    write_training_report as write_training_report,
)

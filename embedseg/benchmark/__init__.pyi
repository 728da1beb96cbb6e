from .benchmark import run_benchmark as run_benchmark
from .comparison import (
    comparison_cells as comparison_cells,
    comparison_table as comparison_table,
    save_curves as save_curves,
)
from .entries import BenchmarkSetup as BenchmarkSetup, list_entries as list_entries
from .predicted import read_predicted as read_predicted, run_config as run_config
from .records import (
    GROUP_KEYS as GROUP_KEYS,
    Record as Record,
    format_curve_label as format_curve_label,
    group_records as group_records,
)

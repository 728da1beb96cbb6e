from .comparison import (
    KEYS as KEYS,
    Record as Record,
    comparison_cells as comparison_cells,
    comparison_table as comparison_table,
    curve_label as curve_label,
    group_records as group_records,
    save_curves as save_curves,
)
from .runs import Bench as Bench, list_entries as list_entries, run_benchmark as run_benchmark

"""Accuracy over minutes: what several benchmarks of one data set recorded, as one table and plot.

python tests/benchmarks/minutes.py tests/benchmarks/records/minutes-dsb2018*.json [-o PLOT.png]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from embedseg.benchmark import comparison_table, group_records, save_curves

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("-o", "--plot", type=Path)
    given = parser.parse_args()
    runs = [run for path in given.records for run in json.loads(path.read_text(encoding="utf-8"))]
    if len({(run["score"]["n_images"], run["score"]["n_true"]) for run in runs}) > 1:
        parser.error("these are records of several data sets; a table holds one")
    # The floor that needs no training is in each of them.
    different = group_records(runs, ("preset", "minutes", "method", "seed"))
    records = [different[key][0] for key in sorted(different)]
    print("\n".join(comparison_table(records)))
    if given.plot:
        save_curves(given.plot, records)

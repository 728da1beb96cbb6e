"""Methods and nets compared on one data set at equal training time.

::

    baseline.py    Baselines without training
    benchmark.py   The benchmark: all entries trained for equal time and scored alike
    comparison.py  Comparison of runs: table and curves
    entries.py     Entries of a benchmark, and the setup that its runs share
    predicted.py   Label images that the runs of a benchmark made
    records.py     Records of runs: grouped, named, read and written
    run.py         One run: training and scoring in a separate process
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

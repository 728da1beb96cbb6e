"""Methods and nets compared on one data set at equal training time.

::

    baseline.py    Baselines without training
    comparison.py  Comparison of runs: table and curves
    runs.py        Benchmark runs: equal time, one evaluator
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

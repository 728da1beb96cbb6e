"""Scores of label images against the truth.

::

    class_tables.py   Tables of class scores, for people and for CSV files
    classes.py        Scores of classes: IoU, Dice, confusion
    error_types.py    Error types of objects: missed, split, merged, spurious
    object_tables.py  Summaries and tables of object scores
    objects.py        Scores of objects: AP, PQ, SEG, Rand, VOI
    regions.py        Scores of regions between membranes
    scoring.py        Scoring of predictions, by objects or by classes
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

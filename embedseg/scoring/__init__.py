"""Scores of label images against the truth.

::

    classes.py      Scores of classes: IoU, Dice, confusion
    error_types.py  Error types of objects: missed, split, merged, spurious
    objects.py      Scores of objects: AP, PQ, SEG, Rand, VOI
    regions.py      Scores of regions between membranes
    scoring.py      Scores of images and data sets, summarised and tabulated
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

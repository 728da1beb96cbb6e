"""Grids of pixels: blocks, padding, resampling, symmetries.

::

    blocks.py      Tile arithmetic: blocks with a halo
    grid.py        Pixel coordinates and padding
    resampling.py  Resampling of images and labels to another spacing or shape
    symmetry.py    Symmetries of a grid: permutations of axes, and flips
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

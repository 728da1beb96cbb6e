"""A net applied to an image of any size: tiles, symmetries, planes.

::

    averaging.py  Averages of maps over symmetries and planes
    options.py    Options of prediction
    planes.py     A 2D net on the planes of a volume
    tiles.py      A net on an image of any size, tile by tile
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Maps, segmentations, errors, and checks of input.

::

    aliases.py  Names of types of arrays, and constants of pixels and labels
    checks.py   Checks of images and labels
    errors.py   Errors of data and of usage
    maps.py     Maps and segmentations
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

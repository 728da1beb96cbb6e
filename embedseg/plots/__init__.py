"""Figures: overlays, maps, curves, classes, montages.

::

    classes.py   Panels of classes: image, truth, prediction, errors
    curves.py    Curves of scores, sizes and tuning trials
    figures.py   Layout of panels: colours, views of volumes, files
    maps.py      Figures of maps
    montage.py   Montages: slices of a volume with objects over them
    overlays.py  Overlays: truth beside prediction with the errors marked
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

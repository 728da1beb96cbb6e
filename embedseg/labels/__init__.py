"""Label images: numbering, connected components, centres, overlaps.

::

    annotation.py  Partial annotation: axes along which an object is known whole
    boxes.py       Bounding boxes of objects
    centres.py     Centres of objects: centroids, medoids, medians
    cleaning.py    Cleaning of label images: pieces, holes, small objects, the border
    contact.py     Forms of objects: width, elongation, and how much of them touches others
    linking.py     Objects of a volume linked from those of its planes
    numbering.py   Object numbers: listing, counting pixels, relabelling
    overlaps.py    Overlaps of two label images: shared pixels, IoU, one-to-one pairs
    pieces.py      Connected components and holes
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

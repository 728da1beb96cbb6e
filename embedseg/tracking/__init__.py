"""Objects of a film linked through time.

::

    costs.py    Costs of links and divisions: overlap, distance, size
    linking.py  Objects of a film linked by linear assignment
    tracks.py   Tracks: number, first and last frame, parent
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

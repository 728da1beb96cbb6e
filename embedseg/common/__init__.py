"""Helpers that know nothing of images: files, progress, plug-ins, text.

::

    extras.py    Libraries that are not installed with the package, but with one of its extras
    files.py     Files and folders: what may be written, and written whole or not at all
    locking.py   Locks: one process at a time works in a folder
    machine.py   Memory of the machine
    picking.py   Evenly spaced items of a sequence
    progress.py  Progress reporting: terminal bars and callbacks, with cancellation
    registry.py  Registries: names of plug-ins, imported when asked for
    text.py      Text for messages: counts, sizes, lists
    version.py   Version of the package
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

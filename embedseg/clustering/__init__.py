"""Decoding of the embedding method: pixels grouped around seeds, the best seed first.

::

    _activation.py  Activation of raw maps, float16 by a table
    _decode.py      Greedy clustering of embeddings, seed by seed
    _kernels.py     Compiled parts of `embedseg.clustering`
    _options.py     Options of clustering
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

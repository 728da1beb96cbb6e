"""Methods: the maps of a net, how they are learned and decoded.

::

    _embedding_loss_dense.py    Embedding loss of all objects of a batch at once
    _embedding_loss_kernels.py  Compiled parts of the embedding loss on a CPU
    base.py                     The interface of a method
    boundary.py                 Boundary method: components or watershed of boundary maps
    confidence.py               Confidence: the probability that an object is a true one
    embedding.py                Embedding method: offsets, bandwidths, seediness (Lalit et al. 2021)
    embedding_loss.py           Instance loss of the embedding method, in two equal implementations
    instances.py                Instance methods: smallest object, scores, confidence
    losses.py                   Losses as pure functions of tensors
    registry.py                 The methods by name
    semantic.py                 Semantic method: a probability for each class
    transfer.py                 Weights and maps of a model, brought to other options of its method
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

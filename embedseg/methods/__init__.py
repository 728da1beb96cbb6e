"""Methods: the maps of a net, how they are learned and decoded.

::

    _embedding_loss_dense.py    Embedding loss of all objects of a batch at once
    _embedding_loss_kernels.py  Compiled parts of the embedding loss on a CPU
    affinity.py                 Affinity method: whether two pixels belong to one object
    base.py                     The interface of a method
    boundary.py                 Boundary method: components, watershed or graph partition of maps
    choice.py                   The method that fits the objects of a data set
    confidence.py               Confidence: the probability that an object is a true one
    embedding.py                Embedding method: offsets, bandwidths, seediness (Lalit et al. 2021)
    embedding_loss.py           Instance loss of the embedding method, in two equal implementations
    graph_decoding.py           Supervoxels joined: multicut, agglomeration by average linkage
    instances.py                Instance methods: smallest object, scores, confidence
    losses.py                   Losses as pure functions of tensors
    pieces.py                   Tables of objects that are pieces of a foreground
    registry.py                 The methods by name
    semantic.py                 Semantic method: a probability for each class
    supervoxels.py              Supervoxels of a boundary map, and the graph of those that touch
    transfer.py                 Weights and maps of a model, brought to other options of its method
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

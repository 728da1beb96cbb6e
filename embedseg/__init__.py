"""Instance segmentation of microscopy images in 2D and 3D by spatial embeddings."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

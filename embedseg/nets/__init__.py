"""Networks, the devices they run on and the memory they take.

::

    base.py      The interface of a net and of its options
    cenet.py     CE-Net: residual encoder, dense atrous block, multi-kernel pooling
    devices.py   Devices: choice, precision, memory
    erfnet.py    Branched ERFNet: a factorised residual encoder, a decoder per head
    fused.py     Nets fused for inference: normalisation folded into convolutions
    layers.py    Layers in any number of dimensions, and strides that follow the spacing
    memory.py    Memory of a net, measured without computing
    registry.py  The nets by name
    unet.py      Branched U-Net: an encoder, a decoder per head or one for all
    unet2d3d.py  Hybrid U-Net for anisotropic stacks: 2D at fine levels, 3D at coarse ones
    unetpp.py    U-Net++: nested skip connections
    weights.py   Weights as safetensors files
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

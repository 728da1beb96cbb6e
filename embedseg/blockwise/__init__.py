"""Images larger than memory, segmented block by block.

::

    estimate.py   Estimate of time, memory and disk
    halo.py       Measured receptive field of a net, and the halo it implies
    joining.py    Labels of blocks joined into those of one image
    outputs.py    Outputs: OME-Zarr, labels inside an image, BigTIFF
    plan.py       Planning of blocks and halos
    resampled.py  Images resampled box by box, and labels brought back
    segment.py    Segmentation from store to store, resumed after a kill
    steps.py      Maps, objects and labels of one block
    workers.py    Workers: this process or dask.distributed
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

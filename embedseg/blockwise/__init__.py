"""Images larger than memory, segmented block by block.

::

    big_tiff.py       Labels of a store written as BigTIFF
    block_objects.py  Objects of one block, cropped to its inner box
    estimate.py       Estimate of time, memory and disk
    frozen_model.py   The model as all processes load it: the same for every block
    halo.py           Measured receptive field of a net, and the halo it implies
    job.py            A job: all that a process needs to work on any block
    joining.py        Labels of blocks joined into those of one image
    options.py        Options of blocks
    outputs.py        Outputs: OME-Zarr, labels inside an image, BigTIFF
    plan.py           Planning of blocks and halos
    resampled.py      Images resampled box by box, and labels brought back
    runs.py           Runs and their results, resumed after an interruption
    scratch.py        Files of blocks in the scratch folder
    segment.py        Segmentation from store to store, resumed after a kill
    steps.py          Maps, objects and labels of one block
    tables.py         Tables of the objects of images and films, as CSV
    workers.py        Workers: this process or dask.distributed
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

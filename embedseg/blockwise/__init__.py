"""Images larger than memory: cut into blocks, which one process or many work on.

::

    plan.py       which blocks, which halos; the model as all processes load it
    halo.py       how far a net sees
    resampled.py  an image brought to the spacing of a model box by box, and labels back
    steps.py      maps, objects and labels of one block, on disk in between
    engine.py     who works on the blocks: this process, or the workers of dask
    outputs.py    where labels go: OME-Zarr or BigTIFF, and a table of objects
    run.py        all of it from store to store, resumed after a kill
    costs.py      what it will take
"""

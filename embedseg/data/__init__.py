"""Data folders: samples, checks, statistics, crops, augmentation.

::

    augment.py       Augmentation of crops and their labels
    classes.py       Classes of masks: names, values and colours
    crops.py         Training crops around objects
    folder.py        Data folders: splits, images, masks
    folder_check.py  Checks of a whole data folder
    new_pair.py      New pairs of image and mask, added to a data folder
    options.py       Options for reading a data folder
    pair_check.py    Checks of one image and its mask
    pairing.py       Pairing of images and masks by file name
    prepared.py      Samples prepared for a net: normalised, cut to its axes, in its spacing
    problems.py      Problems of data folders, and the report that lists them
    samples.py       Samples: an image with its labels, brought to one spacing
    statistics.py    Statistics of a data set, as planning uses them
    swapped.py       Masks that are images: folders swapped, or one given twice
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

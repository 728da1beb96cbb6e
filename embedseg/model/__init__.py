"""A trained model: configuration, planning, tuning, ensembles, its folder.

::

    config.py        Configuration: the options of all parts, validated and saved
    costs.py         Costs of training and prediction, and settings that keep to a limit
    ensemble.py      Ensembles: the mean of several models, decoded once
    fitting.py       Fitting: a net trained on a data folder, in its model folder
    finetuning.py    Fine-tuning: weights taken over from another model
    folder.py        The folder of a model: its files, and what may be done to them
    origin.py        The model and settings that make labels, as their files keep them
    planning.py      Planning: a configuration proposed from the data
    predictor.py     The interface of trained nets and ensembles, and `open_model`
    segmentation.py  Segmentation of images, films and volumes by a model
    trained_net.py   A trained net on images and volumes, with its normalisation and spacing
    tuning.py        Tuning of decode options on cached maps
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

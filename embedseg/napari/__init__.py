"""The napari plugin: widgets, readers, writers and sample data; `napari.yaml` names them.

::

    _boxes.py     Boxes drawn in a shapes layer: the part of an image to segment
    _decoding.py  Maps kept for decoding with other thresholds
    _forms.py     Form fields: groups, folders, layers, devices, progress
    _layers.py    Layers as arrays with axes and spacing, and back
    _models.py    Models: recently used ones, a field for one, loaded, opened in the viewer
    _results.py   Result layers: labels, centres, maps
    _sliders.py   Controls of decode options
    _stores.py    Files and stores as layers: images, label images, levels
    _training.py  Training in the viewer: start, stop, resume, curves
    _work.py      Work in a thread, reported to the GUI
    correct.py    Widget *Correct and retrain*
    files.py      Readers and writers of files as layers
    samples.py    Sample data
    segment.py    Widget *Segment*
    train.py      Widget *Train*
"""

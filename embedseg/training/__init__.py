"""Training: options, batches, steps, validation, checkpoints.

::

    averages.py      Moving average of weights
    batches.py       Batches of training crops, made ahead in threads
    checkpoint.py    Checkpoints: the state of a run, read back exactly
    curves.py        Training curves
    history.py       Training history as CSV
    launch.py        Launch of a training on one device or several
    loop.py          The training loop: steps, epochs, validations
    optimizers.py    Optimisers by name, Muon among them
    orthogonal.py    Orthogonal steps for many matrices at once
    options.py       Options of training
    progress_bar.py  The progress bar of a training
    recorder.py      Recorder of a run: checkpoint, curves, preview, TensorBoard log
    run.py           A training run: data, limits, progress
    tensorboard.py   TensorBoard logs
    validation.py    Validation: scores of images decoded as in prediction
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""The demo: train on the sample images, segment those held back, score and draw them."""

from __future__ import annotations

import json
import logging
from importlib.resources import files
from pathlib import Path
from typing import Any

from embedseg.common import write_text
from embedseg.data import load_split
from embedseg.evaluation import score_samples
from embedseg.images import write_labels
from embedseg.model import plan
from embedseg.plots import save_overlay
from embedseg.report import Gallery, evaluation_report
from embedseg.segmenter import Segmenter
from embedseg.training import save_history
from embedseg.types import DataError

log = logging.getLogger("embedseg")

#: Sample data of each number of axes.
SAMPLES = {2: "nuclei", 3: "ovules"}


def samples(ndim: int) -> Path:
    """Return the folder of sample images that come with the package.

    Parameters
    ----------
    ndim : {2, 3}
        Nuclei in 2D, or a volume of an ovule.

    Raises
    ------
    DataError
        If they were not installed.

    Examples
    --------
    >>> sorted(path.name for path in samples(2).iterdir() if path.is_dir())
    ['test', 'train', 'val']
    """
    return sample_folder(SAMPLES[ndim])


def sample_folder(name: str) -> Path:
    """Return the data folder of samples by their name: nuclei, ovules or neurites.

    Raises
    ------
    DataError
        If they were not installed.

    Examples
    --------
    >>> sample_folder("neurites").name
    'neurites'
    """
    package = Path(str(files("embedseg")))
    # Installed beside the code; in a checkout they lie at the top.
    for folder in (package / "samples", package.parent / "data"):
        if (folder / name).is_dir():
            return folder / name
    raise DataError(f"{package / 'samples'}: the sample images are not there; install again")


def demo(
    folder: Path | str,
    *,
    ndim: int = 2,
    time_limit: float | str = "200s",
    device: str = "auto",
    progress: bool = True,
) -> dict[str, Any]:
    """Train on the sample images and segment the test images, which training does not see.

    Parameters
    ----------
    folder : path
        Gets `model`, `labels`, `overlays`, `scores.json`, `history.png` and `report.html`.
    ndim : {2, 3}
        Images or a volume.
    time_limit : float or str
        Length of the training in seconds, or "200s".
    device : str
        As in `Segmenter.new`.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    dict
        The scores, as in `embedseg.scoring.scoring.summarise_objects`.
    """
    folder, data = Path(folder), samples(ndim)
    log.info("training on %s for %s", data, time_limit)
    config = plan(data)
    model = Segmenter.new(config, device).fit(
        data, time_limit=time_limit, folder=folder / "model", overwrite=True, progress=progress
    )
    save_history(folder / "history.png", model.history)
    results, gallery = [], Gallery(model.config.method)
    images = load_split(data, "test", config.data)
    for sample, found, scores in score_samples(model, images, progress=progress):
        labels = found.labels
        axes = "ZYX"[-labels.ndim :]
        write_labels(folder / "labels" / f"{sample.name}.tif", labels, sample.spacing, axes)
        save_overlay(
            folder / "overlays" / f"{sample.name}.png",
            sample.image,
            sample.labels,
            labels,
            spacing=sample.spacing,
            title=f"{sample.name}: AP50 {scores.ap['0.50']:.2f}",
        )
        gallery.add(
            sample.name, sample.image, found, sample.labels, scores=scores, spacing=sample.spacing
        )
        results.append((sample.name, scores))
    evaluation_report(
        folder / "report.html",
        model,
        gallery,
        images,
        folder=folder / "model",
        title=f"Demo on {data.name}: images that training did not see",
    )
    summary = model.config.method.scoring().summarise(results)
    write_text(folder / "scores.json", json.dumps(summary, indent=2) + "\n")
    return summary

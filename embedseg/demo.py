"""The demo: training and prediction on the sample images."""

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
from embedseg.report import Gallery, write_evaluation_report
from embedseg.segmenter import Segmenter
from embedseg.training import save_history
from embedseg.types import DataError

log = logging.getLogger("embedseg")

#: Samples by number of axes.
SAMPLES = {2: "nuclei", 3: "ovules"}

#: What the demo writes into its folder.
WRITTEN = ("model", "labels", "overlays", "scores.json", "history.png", "report.html")


def sample_folder(name: str) -> Path:
    """Return the data folder of the samples nuclei (2D), ovules or neurites (3D).

    Raises
    ------
    DataError
        If the samples are not installed.

    Examples
    --------
    >>> sample_folder("neurites").name
    'neurites'
    """
    package = Path(str(files("embedseg")))
    # Installed beside the code; in a checkout at the top level.
    for folder in (package / "samples", package.parent / "data"):
        if (folder / name).is_dir():
            return folder / name
    raise DataError(f"{package / 'samples'}: no sample images; install the package again")


def run_demo(
    folder: Path | str,
    *,
    ndim: int = 2,
    time_limit: float | str = "200s",
    device: str = "auto",
    progress: bool = True,
) -> dict[str, Any]:
    """Train on the sample images, then segment and score the test images.

    Parameters
    ----------
    folder : path
        Output folder: `model`, `labels`, `overlays`, `scores.json`, `history.png`, `report.html`.
    ndim : {2, 3}
        2: nuclei; 3: ovules.
    time_limit : float or str
        Length of the training in seconds, or "200s".
    device : str
        As in `Segmenter.new`.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    dict
        Summary of the scores, as in `embedseg.scoring.object_tables.summarise_objects`.
    """
    folder, data = Path(folder), sample_folder(SAMPLES[ndim])
    log.info("training on %s for %s", data, time_limit)
    config = plan(data)
    model = Segmenter.new(config, device).fit(
        data, time_limit=time_limit, folder=folder / "model", overwrite=True, progress=progress
    )
    save_history(folder / "history.png", model.history)
    results, gallery = [], Gallery(model.config.method)
    images = load_split(data, "test", config.data)
    for sample, segmentation, scores in score_samples(model, images, progress=progress):
        labels = segmentation.labels
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
            sample.name,
            sample.image,
            segmentation,
            sample.labels,
            scores=scores,
            spacing=sample.spacing,
        )
        results.append((sample.name, scores))
    write_evaluation_report(
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

"""The command tune: decode options searched on the validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from embedseg.cli.app import command
from embedseg.cli.console import at_terminal, findings_first, show_result
from embedseg.cli.options import Data, Device, Json, Model, Overwrite
from embedseg.cli.plots import plot_option

if TYPE_CHECKING:
    from embedseg.model import Tuned


@command("embedseg tune nuclei my_data")
def tune(
    model: Model,
    data: Data,
    device: Device = "auto",
    plot: Annotated[Path | None, plot_option("Draw the scores of all options tried")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Search the decode options on the validation images, and save the better ones.

    Of an ensemble the weights of its members too, if there are enough images.
    """
    from embedseg.model import ModelFolder
    from embedseg.plots import save_trials
    from embedseg.segmenter import Segmenter

    # Until it is saved, so that nothing else is saved in between.
    with ModelFolder(model).locked():
        segmenter = Segmenter.load(model, device)
        with findings_first(data, segmenter.config.data, segmenter.config.method.type):
            tuned = segmenter.tune(data, progress=at_terminal())
        segmenter.save(model)
    if plot:
        save_trials(plot, tuned.trials, tuned.goal, title=model.name)
    show_result({"model": model} | tuned_values(tuned), tuned.message, json)


def tuned_values(tuned: Tuned) -> dict[str, Any]:
    """Return what a search found, for scripts."""
    return {
        "metric": tuned.goal,
        "before": tuned.before,
        "after": tuned.after,
        "spread": tuned.spread,
        "tried": tuned.tried,
        "method": tuned.method.model_dump(mode="json"),
    }

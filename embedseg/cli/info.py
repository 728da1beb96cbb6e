"""The command info: a model's method, net, training and settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import print_json
from embedseg.cli.options import Json, Model, Overwrite
from embedseg.cli.plots import plot_option
from embedseg.cli.train import best_score

if TYPE_CHECKING:
    pass


@command("embedseg info nuclei")
def info(
    model: Model,
    json: Json = False,
    plot: Annotated[Path | None, plot_option("Draw its training curves")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show the method, net, training and settings of a model."""
    from embedseg.model import ModelFolder

    folder = ModelFolder(model)
    config, history = folder.config(), folder.history()
    members = [
        {
            "name": each.folder.name,
            "weight": each.weight,
            "lead": each.lead,
            **_facts(each.folder),
        }
        for each in folder.members()
    ]
    if plot:
        _plot_history(plot, model, history)
    parameters = sum(each["parameters"] for each in members) or _facts(model)["parameters"]
    if json:
        print_json(
            {
                "config": config.model_dump(mode="json"),
                "parameters": parameters,
                "history": history,
                **({"members": members} if members else {}),
            }
        )
        return
    unit = "µm" if config.spacing_known else "pixels (size unknown)"
    chosen = config.data.channels
    kind = f"ensemble of {len(members)} nets" if members else config.net.type
    typer.echo(
        f"{model}: {config.method.type} with {kind} of "
        f"{parameters / 1e6:.2f} million parameters, {config.ndim}D, "
        f"{config.channels} channel(s)" + (f" ({', '.join(chosen)})" if chosen else "")
    )
    for each in members:
        typer.echo(
            f"  {each['name']}: {each['net']} in {each['ndim']}D, "
            f"{each['parameters'] / 1e6:.2f} million parameters, weight {each['weight']:g}"
            + (", the lead: maps are averaged on its grid" if each["lead"] else "")
        )
    typer.echo(f"spacing: {', '.join(f'{s:g}' for s in config.spacing)} {unit}")
    if history:
        last = history[-1]
        typer.echo(
            f"trained: {last['step']:.0f} steps in {last['minutes']:.1f} minutes, "
            f"{best_score(history, config.method.primary)}"
        )
    for part in ("normalize", "method", "net", "train", "predict", "data"):
        typer.echo(f"{part}:")
        for key, value in getattr(config, part).model_dump(mode="json").items():
            typer.echo(f"  {part}.{key} = {_short(value)}")


def _plot_history(path: Path, model: Path, history: list[dict[str, float]]) -> None:
    from embedseg.training import save_history
    from embedseg.types import DataError

    if not history:
        raise DataError(f"{model}: no history of a training (history.csv), nothing to draw")
    save_history(path, history)


def _facts(folder: Path) -> dict[str, Any]:
    """Return the type, dimensions and number of parameters of a model's net."""
    from torch import device

    from embedseg.model import ModelFolder

    config = ModelFolder(folder).config()
    with device("meta"):  # no memory is needed to count
        net = config.build_net(folder / "config.json")
    count = sum(weight.numel() for weight in net.parameters())
    return {"net": config.net.type, "ndim": config.ndim, "parameters": count}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

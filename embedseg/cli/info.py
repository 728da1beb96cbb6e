"""The command info: what a model is for, its training and settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedseg.cli.app import command
from embedseg.cli.console import print_json
from embedseg.cli.options import Json, Model, Overwrite
from embedseg.cli.plots import plot_option

if TYPE_CHECKING:
    from embedseg.model import ModelFolder


@command("embedseg info nuclei", "embedseg info nuclei --all")
def info(
    model: Model,
    every: Annotated[bool, typer.Option("--all", help="Show all settings too.")] = False,
    json: Json = False,
    plot: Annotated[Path | None, plot_option("Draw its training curves")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show what a model is for, what it was trained on and how well; with --all its settings."""
    from embedseg.model import ModelFolder

    folder = ModelFolder(model)
    config, history = folder.settings(), folder.history()
    members = [
        {
            "name": each.folder.name,
            "weight": each.weight,
            "lead": each.lead,
            **_facts(ModelFolder(each.folder)),
        }
        for each in folder.members()
    ]
    if plot:
        _plot_history(plot, model, history)
    counts = [each["parameters"] for each in members] or [folder.parameters()]
    parameters = None if None in counts else sum(counts)
    if json:
        more = {"members": members} if members else {}
        print_json({"config": config, "parameters": parameters, "history": history, **more})
        return
    typer.echo("\n".join(_purpose(model, config)))
    kind = f"ensemble of {len(members)} nets" if members else config["net"].get("type")
    typer.echo(f"net: {kind}{_size(parameters)}")
    for each in members:
        typer.echo(
            f"  {each['name']}: {each['net']} in {each['ndim']}D{_size(each['parameters'])}, "
            f"weight {each['weight']:g}"
            + (", the lead: maps are averaged on its grid" if each["lead"] else "")
        )
    if not members:
        typer.echo("\n".join(_training(config, history, folder)))
    if every:
        typer.echo("\n".join(_settings(config)))
    else:
        typer.echo("settings: --all")


def _purpose(model: Path, config: dict[str, Any]) -> list[str]:
    """Format what images a model is for, and what it finds."""
    method, ndim, channels = config["method"], config.get("ndim"), config.get("channels", 1)
    names = [each["name"] for each in config["data"].get("classes") or ()]
    finds = f"classes ({', '.join(names)})" if names else "objects"
    unit = "µm" if config.get("spacing_known") else "pixels (size unknown)"
    chosen = f" ({', '.join(taken)})" if (taken := config["data"].get("channels")) else ""
    return [
        f"{model}: finds {finds} in {ndim}D images of {channels} channel(s){chosen}, "
        f"by the method {method.get('type')}",
        f"pixel size: {_short(config.get('spacing'))} {unit}",
    ]


def _training(
    config: dict[str, Any], history: list[dict[str, float]], folder: ModelFolder
) -> list[str]:
    """Format what a model was trained on, how long and with what scores."""
    lines, trained = [], config.get("trained")
    if isinstance(trained, dict):
        lines.append(
            f"data: {trained.get('data')}, {trained.get('images')} images, "
            f"{trained.get('val_images')} for validation; {trained.get('date')}"
        )
    if history:
        last = history[-1]
        lines.append(f"trained: {last['step']:.0f} steps in {last['minutes']:.1f} minutes")
    # After tuning the model is that of the last scores: two sets of numbers would only confuse.
    if tuning := folder.trials():
        lines.append(f"scores: {tuning['words'].removeprefix('tune: ')}")
    elif history:
        lines.append(f"scores: {_best_scores(history)}")
    return lines


def _best_scores(history: list[dict[str, float]]) -> str:
    """Format the scores of the weights that were kept; the first one is that of the method.

    Examples
    --------
    >>> _best_scores([{"epoch": 1, "val_ap_mean": 0.5}, {"epoch": 2, "val_ap_mean": 0.4}])
    'ap_mean 0.500 on validation images'
    """
    rows = [{k[4:]: v for k, v in row.items() if k.startswith("val_")} for row in history]
    rows = [row for row in rows if row]
    if not rows:
        return "not validated"
    best = max(rows, key=lambda row: next(iter(row.values())))
    return ", ".join(f"{k} {v:.3f}" for k, v in best.items()) + " on validation images"


def _settings(config: dict[str, Any]) -> list[str]:
    from embedseg.model import PARTS

    lines = []
    for part in PARTS:
        lines.append(f"{part}:")
        lines += [f"  {part}.{key} = {_short(value)}" for key, value in config[part].items()]
    return lines


def _plot_history(path: Path, model: Path, history: list[dict[str, float]]) -> None:
    from embedseg.training import save_history
    from embedseg.types import DataError

    if not history:
        raise DataError(f"{model}: no history of a training (history.csv), nothing to draw")
    save_history(path, history)


def _facts(folder: ModelFolder) -> dict[str, Any]:
    """Return the type, dimensions and number of parameters of a model's net."""
    config = folder.settings()
    return {
        "net": config["net"].get("type"),
        "ndim": config.get("ndim"),
        "parameters": folder.parameters(),
    }


def _size(parameters: int | None) -> str:
    """Format a number of parameters; it is not known before there are weights."""
    return ", no weights yet" if parameters is None else f" of {parameters / 1e6:.2f} M parameters"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)

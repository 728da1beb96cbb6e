"""The reference of the command line, generated from the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer


def cli_page() -> str:
    """Return the page as Markdown."""
    from embedseg.cli.app import app

    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="embedseg", **app.info.context_settings)
    lines = [
        "# Command line",
        "",
        "Every command, as `embedseg COMMAND --help` describes it. "
        "Exit code 0 is success, 1 bad data, 2 bad usage.",
        "",
        "| command | what it does |",
        "| --- | --- |",
    ]
    commands = [(name, root.commands[name]) for name in root.list_commands(context)]
    for name, command in commands:
        summary = command.get_short_help_str(200)
        lines.append(f"| [`{name}`](#{name}) | {escaped(summary)} |")
    lines += ["", "Options of `embedseg` itself:", "", *_table(root, context)]
    for name, command in commands:
        lines += _command(
            command,
            typer.Context(command, info_name=name, parent=context, **app.info.context_settings),
        )
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Escape text for a cell of a Markdown table.

    Examples
    --------
    >>> escaped("<stem>.tif a|b *.zarr")
    '&lt;stem&gt;.tif a\\|b \\*.zarr'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([|*_\[\]])", r"\\\1", text)


def _command(command: Any, context: typer.Context) -> Iterator[str]:
    usage = " ".join(["embedseg", context.info_name or "", *command.collect_usage_pieces(context)])
    examples = (command.epilog or "").partition("Example:\n")[2]
    yield from ("", f"## `{context.info_name}` {{ #{context.info_name} }}", "")
    yield from (re.sub(r"(?<!\n)\n(?!\n)", " ", command.help or ""), "")
    yield from ("```text", usage, "```", "")
    yield from ("```bash", *(line.removeprefix("  ") for line in examples.splitlines()), "```", "")
    yield from _table(command, context)


def _table(command: Any, context: typer.Context) -> Iterator[str]:
    """Yield a table of the arguments and options, under their headings."""
    from embedseg.cli.help import panels

    for title, parameters in panels(command, context):
        yield from (f"| {title} | |", "| --- | --- |")
        for left, right in parameters:
            yield f"| {code(left)} | {escaped(right)} |"
        yield ""


def code(text: str) -> str:
    r"""Return text as code in a cell of a table.

    Examples
    --------
    >>> code("a|b")
    '`a\\|b`'
    """
    return "`" + text.replace("|", "\\|") + "`"

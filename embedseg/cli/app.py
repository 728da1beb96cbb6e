"""The typer app: its own options, and the decorator of its commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar, cast

import typer

from embedseg.cli.console import say
from embedseg.cli.help import GroupedCommand
from embedseg.cli.inputs import check_inputs
from embedseg.cli.outputs import check_outputs

#: The commands, in the order of `--help`; each has a file of its name.
COMMANDS = (
    "demo",
    "check",
    "plan",
    "train",
    "tune",
    "evaluate",
    "predict",
    "track",
    "convert",
    "score",
    "info",
    "ensemble",
    "benchmark",
    "stack",
    "mesh",
    "export",
    "import",
)

#: After Ctrl-C: what a command kept, and how to continue.
NOTHING = "nothing was written"
KEPT = {
    "demo": "start again with --overwrite",
    "check": NOTHING,
    "plan": NOTHING,
    "train": "a model in the output folder has the best weights so far; --resume continues",
    "tune": "the model is as it was",
    "track": "files that were written are complete; start again with --overwrite",
    "evaluate": NOTHING,
    "predict": "files that were written are complete; the same command continues with the others",
    "convert": "files that were written are complete; start again with --overwrite",
    "score": NOTHING,
    "info": NOTHING,
    "ensemble": NOTHING,
    "benchmark": "models that were trained are kept; the same command continues with the others",
    "stack": "labels.tif, if it is there, is complete; embedseg mesh makes surfaces of it",
    "mesh": "files that were written are complete; start again with --overwrite",
    "export": NOTHING,
    "import": NOTHING,
}
#: Exit code after Ctrl-C, as shells have it: 128 and the number of the signal.
INTERRUPTED = 130

#: Plain help: it starts faster than boxes, and names in brackets stay as they are.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  embedseg demo\n  embedseg train my_data -o nuclei --time-limit 15m",
)


class CheckedCommand(GroupedCommand):
    """A command that names values it refuses, among them empty ones, which would not count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            # Typer's message has the bound, but not the value.
            if problems := getattr(error.__cause__, "errors", None):
                error.message = f"{error.message}, not {problems()[0]['input']!r}"[:300]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, str) and value != parameter.default and not value.strip(" ,"):
                name = "/".join(parameter.opts)
                raise typer.BadParameter(
                    f"{value!r} holds no value; leave the option out", ctx, param_hint=f"'{name}'"
                )
        return super().invoke(ctx)


F = TypeVar("F", bound=Callable[..., None])


def command(*examples: str) -> Callable[[F], F]:
    """Register a function as the command of its name; the help ends with the examples.

    Inputs and outputs are checked before it runs.
    """

    def register(function: F) -> F:
        name = function.__name__.rstrip("_")
        epilog = "\b\nExample:\n  " + "\n  ".join(examples)

        @wraps(function)
        def checked(**values: Any) -> None:
            try:
                check_inputs(name, values)
                check_outputs(name, values)
                function(**values)
            except KeyboardInterrupt:
                say(f"interrupted: {KEPT[name]}")
                raise typer.Exit(INTERRUPTED) from None

        return cast("F", app.command(name, cls=CheckedCommand, epilog=epilog)(checked))

    return register


def _print_version(asked: bool) -> None:
    if asked:
        from embedseg.common import __version__

        typer.echo(f"embedseg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show where an error comes from; also after the command."),
    ] = False,
) -> None:
    """Find every object in microscopy images, in 2D and 3D.

    DATA is a folder with train, val and test, each with images and masks. Exit code 0 is success,
    1 bad data, 2 bad usage, 130 Ctrl-C.
    """

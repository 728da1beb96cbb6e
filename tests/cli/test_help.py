"""Help in groups, and what a shell completes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Run


def shell(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "embedseg.cli", *args],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


# -- help ------------------------------------------------------------------------------------------
def test_help_of_every_command_is_in_groups_with_defaults() -> None:
    """An option that is not a mere switch says its default, is required, or has none to say."""
    import typer

    from embedseg.cli import app
    from embedseg.cli.helping import panels

    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        context = typer.Context(command, info_name=name)
        titles = [title for title, _ in panels(command, context)]
        assert titles[0] == "Arguments" or name == "demo"
        assert len(command.params) < 10 or len(titles) > 2, name
        for parameter in command.params:
            text = parameter.get_help_record(context)
            assert text and text[1].strip(), (name, parameter.name)
            if parameter.default not in (None, False, "") and not parameter.required:
                assert "default: " in text[1], (name, parameter.name)


def test_help_lists_commands_in_the_order_of_work(run: Run) -> None:
    from embedseg.cli.helping import ORDER

    listed = re.findall(r"^  ([a-z]+) ", run("--help").out.split("Commands:")[1], re.MULTILINE)
    assert [name for name in listed if name in ORDER] == list(ORDER)


def test_help_shows_groups_apart(run: Run) -> None:
    out = run("train", "--help").out
    places = [
        out.index(title)
        for title in ("\nArguments:\n", "\nOptions:\n", "\nTraining:\n", "\nReading the data:\n")
    ]
    assert places == sorted(places)
    assert places[2] < out.index("--time-limit") < places[3] < out.index("--spacing")


# -- completion ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("embedseg tr", ["train"]),
        ("embedseg train my_data --time", ["--time-limit"]),
        ("embedseg train my_data --net un", ["unet", "unet2d3d", "unetpp"]),
        ("embedseg train my_data --method s", ["semantic"]),
        (
            "embedseg benchmark my_data --nets erfnet,un",
            ["erfnet,unet", "erfnet,unet2d3d", "erfnet,unetpp"],
        ),
        ("embedseg predict nuclei a.tif --also roi,g", ["roi,geojson"]),
        ("embedseg evaluate nuclei my_data --split ", ["train", "val", "test"]),
    ],
)
def test_bash_is_offered_commands_options_and_names(
    line: str, found: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    monkeypatch.setenv("_EMBEDSEG_COMPLETE", "complete_bash")
    assert run().out.split() == found


def test_presets_that_are_completed_are_those_there_are() -> None:
    from embedseg.cli.helping import objects, presets
    from embedseg.export import EXPORTERS
    from embedseg.model.planning import PRESETS

    assert presets("") == list(PRESETS)
    assert sorted(objects("")) == sorted(EXPORTERS)


def test_completion_loads_no_torch() -> None:
    code = (
        "import sys; from embedseg.cli.helping import methods, nets; methods(''); nets('');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_completion_can_be_installed(tmp_path: Path) -> None:
    """Into a home of its own."""
    for name, file in (
        ("bash", ".bash_completions/embedseg.sh"),
        ("zsh", ".zfunc/_embedseg"),
        ("fish", ".config/fish/completions/embedseg.fish"),
    ):
        done = shell(
            "--install-completion",
            name,
            HOME=str(tmp_path),
            _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
        )
        assert done.returncode == 0, done.stderr
        assert "_EMBEDSEG_COMPLETE" in (tmp_path / file).read_text()

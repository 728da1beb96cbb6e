"""Help in groups, and what a shell completes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import Run, shell

COMMANDS = [
    "check",
    "plan",
    "train",
    "tune",
    "predict",
    "evaluate",
    "score",
    "info",
    "demo",
    "benchmark",
    "ensemble",
    "mesh",
    "stack",
    "convert",
    "export",
    "import",
]


# -- help ------------------------------------------------------------------------------------------
def test_help_of_every_command_is_in_groups_with_defaults() -> None:
    """An option that is not a mere switch says its default, is required, or has none to say."""
    import typer

    from embedseg.cli.app import app
    from embedseg.cli.help import panels

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
    from embedseg.cli.app import COMMANDS as ORDER

    listed = re.findall(r"^  ([a-z]+) ", run("--help").out.split("Commands:")[1], re.MULTILINE)
    assert listed == list(ORDER)


def test_every_file_with_a_command_is_listed() -> None:
    from embedseg import cli
    from embedseg.cli.app import COMMANDS as ORDER

    files = {
        path.stem.rstrip("_")
        for path in Path(cli.__path__[0]).glob("*.py")
        if "\n@command(" in path.read_text()
    }
    assert files == set(ORDER)


def test_help_shows_groups_apart(run: Run) -> None:
    out = run("train", "--help").out
    places = [
        out.index(title)
        for title in ("\nArguments:\n", "\nOptions:\n", "\nTraining:\n", "\nReading the data:\n")
    ]
    assert places == sorted(places)
    assert places[2] < out.index("--time-limit") < places[3] < out.index("--spacing")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert done.out.rstrip().splitlines()[-1].strip().startswith(f"embedseg {command}")
    assert "\n  Example:\n" in done.out


def test_help_lists_the_commands_and_shows_defaults(run: Run) -> None:
    assert all(f"  {command} " in run("--help").out for command in COMMANDS)
    assert "[default: auto]" in run("train", "--help").out
    assert "[default: test]" in run("evaluate", "--help").out


def test_help_names_every_net(run: Run) -> None:
    from embedseg.nets import NETS

    assert all(name in run("train", "--help").out for name in NETS)


def test_help_answers_at_once() -> None:
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        assert shell("--help").returncode == 0
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.5


def test_version(run: Run) -> None:
    import embedseg

    assert run("--version").out == f"embedseg {embedseg.__version__}\n"


# -- completion ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("embedseg tr", ["train", "track"]),
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
    from embedseg.cli.help import objects, presets
    from embedseg.export import EXPORTERS
    from embedseg.model.planning import PRESETS

    assert presets("") == list(PRESETS)
    assert sorted(objects("")) == sorted(EXPORTERS)


def test_completion_loads_no_torch() -> None:
    code = (
        "import sys; from embedseg.cli.help import methods, nets; methods(''); nets('');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_completion_can_be_installed(tmp_path: Path) -> None:
    """Into another home."""
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

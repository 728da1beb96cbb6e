"""The pages of the site: what they tell people to type exists, and what is quick is typed."""

from __future__ import annotations

import ast
import base64
import doctest
import importlib
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import cli_page
import config_page
import included
import tutorials
from documented import PAGES, README, ROOT, blocks, pages, said_commands, said_settings


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def root() -> Any:
    from embedseg.cli.app import app

    return typer.main.get_command(app)


@pytest.fixture(scope="module")
def settings() -> set[str]:
    """Every setting that there is, by its dotted name."""
    return {
        prefix + field
        for _, prefix, model, _ in config_page.sections()
        for field in model.model_fields
    }


# -- what is said exists ---------------------------------------------------------------------------
@pytest.mark.parametrize("path", pages(), ids=name)
def test_python_of_a_page_is_python_and_its_imports_exist(path: Path) -> None:
    for block in blocks(path):
        if block.language != "python":
            continue
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("embedseg"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", pages(), ids=name)
def test_commands_of_a_page_exist_with_their_options(path: Path, root: Any) -> None:
    for args in said_commands(path):
        parse(root, args)


def parse(root: Any, args: list[str]) -> None:
    """Parse a command as it would be, without looking for its files."""
    words = [word for word in args if word != "..."]
    own = typer.Context(root, info_name="embedseg")
    if words[0].startswith("-"):
        root.make_parser(own).parse_args(args=words)
        return
    assert words[0] in root.commands, f"no command {words[0]}"
    command = root.commands[words[0]]
    try:
        command.make_parser(typer.Context(command, info_name=words[0], parent=own)).parse_args(
            args=words[1:]
        )
    except Exception as error:
        pytest.fail(f"embedseg {' '.join(args)}: {error}")


def test_a_command_that_does_not_exist_is_found(root: Any) -> None:
    with pytest.raises(pytest.fail.Exception, match="--no-such"):
        parse(root, ["train", "my_data", "--no-such", "5"])
    with pytest.raises(AssertionError, match="no command"):
        parse(root, ["trian", "my_data"])


@pytest.mark.parametrize("path", pages(), ids=name)
def test_settings_of_a_page_exist(path: Path, settings: set[str]) -> None:
    assert said_settings(path) <= settings | {
        f"{part}.type" for part in ("method", "net", "normalize")
    }


def test_pages_speak_of_commands_and_settings() -> None:
    assert sum(len(list(said_commands(path))) for path in pages()) > 80
    assert len({setting for path in pages() for setting in said_settings(path)}) > 15


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)|src=\"([^\"]+)\"", README.read_text())
    here = [link for pair in targets for link in pair if link and not re.match(r"\w+:", link)]
    assert len(here) > 5
    assert [link for link in here if not (ROOT / link).exists()] == []


def test_scores_of_the_readme_are_those_that_were_measured() -> None:
    """Each row's numbers stand together in the page of results."""
    part = README.read_text().split("## How good is it?")[1].split("\n## ")[0]
    told = [
        re.findall(r"\.\d{3}(?: ± \.\d{3})?", row)
        for row in part.splitlines()
        if row.startswith("|")
    ]
    told = [numbers for numbers in told if numbers]
    results = (ROOT / "tests/benchmarks/README.md").read_text()
    paragraphs = [*results.splitlines(), *results.split("\n\n")]
    assert len(told) == 6
    for numbers in told:
        assert any(all(number in text for number in numbers) for text in paragraphs), numbers


def test_pictures_are_small() -> None:
    pictures = list((PAGES / "img").iterdir())
    assert len(pictures) > 4
    for picture in pictures:
        assert picture.stat().st_size < 100_000, picture


# -- pages that are made ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "module", [cli_page, config_page, included, tutorials], ids=lambda module: str(module.__name__)
)
def test_examples_of_what_makes_pages(module: Any) -> None:
    done = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not done.failed


def test_the_reference_of_commands_names_every_option(root: Any) -> None:
    page = cli_page.cli_page()
    for command_name, command in root.commands.items():
        part = page.split(f"{{ #{command_name} }}")[1].split("\n## ")[0]
        for parameter in command.params:
            assert (
                any(
                    f"`{option}" in part or f", {option}" in part
                    for option in parameter.opts
                    if option.startswith("--")
                )
                or parameter.param_type_name == "argument"
            ), (command_name, parameter.name)
        assert "```bash\nembedseg " in part
    assert "[default: 200s]" in page.replace("\\", "")


def test_every_setting_has_a_meaning_and_a_default() -> None:
    for title, prefix, model, _ in config_page.sections():
        rows = list(config_page.table(model, prefix))[2:]
        assert len(rows) == len(set(model.model_fields) - {"type"}), title
        for row in rows:
            _, setting, default, allowed, meaning, _ = re.split(r"(?<!\\)\|", row)
            assert default.strip() and allowed.strip(), row
            assert len(meaning.strip()) > 5, f"{title}: {setting} has no meaning"


@pytest.mark.parametrize("kind", ["percentile", "zscore", "absolute", "fixed"])
def test_normalisation_is_chosen_as_the_page_says(kind: str) -> None:
    from embedseg.cli.options import parse_settings
    from embedseg.model import Config

    config = Config.model_validate(
        {
            "ndim": 2,
            "spacing": (1, 1),
            "method": {"type": "boundary"},
            "net": {"type": "unet"},
            "train": {"crop": (32, 32)},
            "normalize": {"type": "zscore"},
        }
    )
    _, setting = shlex.split(config_page.chosen("normalize", kind).split("`")[1])
    assert config.changed(parse_settings([setting])).normalize.type == kind


def test_the_reference_of_settings_has_all_of_a_saved_configuration(settings: set[str]) -> None:
    from embedseg.model import Config

    for method, more in (("embedding", {}), ("boundary", {}), ("semantic", {})):
        config = Config.model_validate(
            {
                "ndim": 2,
                "spacing": (1, 1),
                "method": {"type": method} | more,
                "net": {"type": "unet"},
                "train": {"crop": (32, 32)},
                "data": {"classes": "0=0,1=1"} if method == "semantic" else {},
            }
        )
        for part, value in config.model_dump(mode="json").items():
            inner = value if isinstance(value, dict) else {}
            assert part in settings
            assert {f"{part}.{key}" for key in inner} <= settings


def test_a_notebook_becomes_a_page(tmp_path: Path) -> None:
    picture = base64.b64encode(b"png").decode()
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": ["# Nuclei\n", "\n", "Trains a model. And more."]},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [{"text": ["1\n"]}, {"data": {"image/png": picture, "text/plain": "x"}}],
        },
        {"cell_type": "markdown", "source": "See [training](02-train.ipynb) and [code](x.py)."},
    ]
    folder = tmp_path / "examples/2d/dsb-2018"
    folder.mkdir(parents=True)
    (folder / "01-data.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / "02-train.ipynb").write_text(json.dumps({"cells": cells[:1]}))
    (tmp_path / "examples/first.py").write_text('"""Say it.\n\nTakes no time."""\nprint(2)\n')
    found = tutorials.tutorials(tmp_path)
    assert [each.page for each in found] == [
        "tutorials/2d/dsb-2018/01-data.md",
        "tutorials/2d/dsb-2018/02-train.md",
        "tutorials/first.md",
    ]
    first, _, script = found
    assert (first.title, first.summary, first.group) == (
        "Nuclei",
        "Trains a model.",
        "Nuclei in 2D",
    )
    assert "```python\nprint(1)\n```\n\n```text\n1\n```\n\n![](01-data-1.png)" in first.text
    assert first.pictures == {"01-data-1.png": b"png"}
    assert (script.title, script.summary) == ("Say it", "Takes no time.")
    assert "```python\nprint(2)\n```" in script.text
    places = {each.source.as_posix(): each.page for each in found}
    text = included.relinked(first.text, first.source.as_posix(), first.page, places)
    assert "[training](02-train.md) and code." in text
    (tmp_path / "examples/README.md").write_text("# Examples\n[1](2d/dsb-2018/01-data.ipynb)")
    assert included.overview(found, tmp_path, places) == "# Tutorials\n[1](2d/dsb-2018/01-data.md)"


def test_examples_that_there_are_become_pages() -> None:
    found = tutorials.tutorials()
    assert {each.source.name for each in found} >= {"train_and_segment.py"}
    assert all(each.title for each in found)
    places = {each.source.as_posix(): each.page for each in found}
    page = included.overview(found, ROOT, places)
    assert page.startswith("# Tutorials")
    assert all(f"]({each.page.removeprefix('tutorials/')})" in page for each in found)


def test_included_pages_are_there() -> None:
    for source in included.INCLUDED.values():
        assert (ROOT / source).read_text().startswith("# "), source
    # With what they show, beside them.
    shown = included.pictures(included.INCLUDED["results.md"], "results.md")
    assert shown["records/large.png"].startswith(b"\x89PNG")

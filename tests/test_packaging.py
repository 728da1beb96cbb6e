"""What is in the wheel, and the promises of the README."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ["embedseg", "data", "setup.py", "pyproject.toml", "README.md", "LICENSE"]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    done = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that a wheel of this tree was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    for name in SOURCES:  # a copy: building leaves files behind
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(*pip, "wheel", "--no-deps", "-w", folder, ".", cwd=source)
    (wheel,) = folder.glob("embedseg_nd-*.whl")
    run(*pip, "install", "--no-deps", "--target", target, wheel, cwd=folder)
    return target


@pytest.mark.slow
def test_wheel_holds_code_and_samples(installed: Path) -> None:
    def relative(folder: Path, pattern: str) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob(pattern)}

    for pattern in ("*.tif", "README.md"):
        assert relative(installed / "embedseg/samples", pattern) == relative(ROOT / "data", pattern)
    code = relative(installed / "embedseg", "*.py")
    assert code == relative(ROOT / "embedseg", "*.py")
    assert {"py.typed", "ARCHITECTURE.md"} <= {p.name for p in (installed / "embedseg").iterdir()}
    assert (installed / "embedseg/napari/napari.yaml").is_file()
    assert {"page.html", "page.css", "page.js"} <= {
        p.name for p in (installed / "embedseg/report").iterdir()
    }


@pytest.mark.slow
def test_wheel_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    code = "import embedseg; print(embedseg.__file__, embedseg.score.__name__)"
    out = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert out.split() == [str(installed / "embedseg/__init__.py"), "score"]
    code = "from embedseg.cli import main; main()"
    out = run(sys.executable, "-c", code, "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert re.search(r"\d+\.\d+\.\d+", out)
    run(
        sys.executable,
        "-c",
        code,
        "demo",
        "--time-limit",
        "15s",
        "-o",
        "out",
        cwd=tmp_path,
        PYTHONPATH=str(installed),
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"scores.json", "overlays"}
    assert len(list((tmp_path / "out/overlays").glob("*.png"))) == 10


def test_samples_are_small_and_paired() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "data").rglob("*.*")) < 10_000_000
    for images in (ROOT / "data").glob("*/*/images"):
        names = {path.name for path in images.iterdir()}
        assert names == {path.name for path in (images.parent / "masks").iterdir()}
        assert names
    for folder in (ROOT / "data").iterdir():
        text = (folder / "README.md").read_text()
        assert all(word in text for word in ("**Source:**", "**Licence:**", "**Citation:**"))


def test_readme_opens_with_two_commands_and_stays_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    commands = re.findall(r"^```\n(.+)\n```$", text, flags=re.MULTILINE)[:2]
    assert "embedseg demo" in commands[0]
    assert "pytest" in commands[1]
    assert all("-c constraints.txt" in command for command in commands)


def test_readme_speaks_of_commands_and_options_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    used: dict[str, set[str]] = {}
    for command, rest in re.findall(r"embedseg ([a-z]+)\b([^`\n|]*)", text):
        used.setdefault(command, set()).update(re.findall(r"--[a-z-]+", rest))
    used = {c: o for c, o in used.items() if f"embedseg {c} " in text or o}
    assert {"train", "evaluate", "predict", "demo"} <= set(used)
    code = "from embedseg.cli import main; main()"
    for command in ("train", "evaluate", "predict", "check", "plan", "tune", "score", "info"):
        shown = run(sys.executable, "-c", code, command, "--help", cwd=ROOT, COLUMNS="200")
        for option in used.get(command, set()):
            assert option in shown, f"README uses embedseg {command} {option}"


def test_version_and_citation_agree() -> None:
    import embedseg

    assert f"version: {embedseg.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {embedseg.__version__}" in (ROOT / "CHANGELOG.md").read_text()

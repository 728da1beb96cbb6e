"""The rules of embedseg/ARCHITECTURE.md, held against the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "embedseg"
FILES = sorted(PACKAGE.rglob("*.py"))
#: Entries of the package's folder, whatever they are.
MOST_ENTRIES = 29
#: Rooms whose modules nothing imports: the faces of the package.
FACES = {"cli", "napari"}


def sections() -> dict[str, list[str]]:
    """Rooms of the page by the section of the list that they stand in, top to bottom."""
    block = (PACKAGE / "ARCHITECTURE.md").read_text().split("## Rooms")[1].split("```")[1]
    found: dict[str, list[str]] = {}
    for line in block.splitlines():
        if heading := re.match(r"-- (\w+)", line):
            found[heading[1]] = []
        elif name := re.match(r"(\w+)(\.py|/)\s", line):
            found[list(found)[-1]].append(name[1])
    return found


SECTIONS = sections()
ROOMS = [room for rooms in SECTIONS.values() for room in rooms]
PLACE = {room: place for place, room in enumerate(ROOMS)}


def room(module: str) -> str:
    """Room of a module: embedseg.nets.unet -> nets."""
    return module.split(".")[1] if "." in module else ""


def module(path: Path) -> str:
    """Dotted name of a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def offered(name: str) -> frozenset[str]:
    """Names in `__all__` of a room, as its stub lists them."""
    stub = tree(PACKAGE / name / "__init__.pyi")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return frozenset(alias.name for node in imports for alias in node.names)


MODULES = {module(path) for path in FILES}
WITH_STUB = [path.parent.name for path in sorted(PACKAGE.glob("*/__init__.pyi"))]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, eager: bool) -> list[ast.AST]:
    """Nodes below `node`; eager: only what an import runs."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if eager and is_type_checking(child):
            continue
        found.append(child)
        if not (eager and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            found += statements(child, eager)
    return found


def imported_names(path: Path) -> list[tuple[str, str, int]]:
    """(module, name, line) of every import in a file, in functions and for type checkers too."""
    found = []
    for node in statements(tree(path), eager=False):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            found += [(node.module or "", alias.name, node.lineno) for alias in node.names]
    return found


def imports(path: Path, eager: bool = False) -> set[str]:
    """Full names of the modules a file imports; not those in functions and for types if `eager`."""
    found: set[str] = set()
    for node in statements(tree(path), eager):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES) or {str(node.module)}
    return found


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- rooms -----------------------------------------------------------------------------------------
def test_rooms_of_the_page_are_the_rooms_on_disk() -> None:
    files = {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")}
    folders = {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == files | folders
    assert len(ROOMS) == len(set(ROOMS))


def test_the_entrance_is_not_crowded() -> None:
    entries = [p.name for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize("name", [*WITH_STUB, "cli", "napari"])
def test_a_room_lists_its_files(name: str) -> None:
    listed = re.findall(
        r"^    (\w+\.py)  ", ast.get_docstring(tree(PACKAGE / name / "__init__.py")) or "", re.M
    )
    files = {p.name for p in (PACKAGE / name).glob("*.py") if not p.name.startswith("__")}
    assert sorted(listed) == sorted(files)


# -- imports ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    here = room(module(path))
    for name in imports(path):
        other = room(name) if name.startswith("embedseg.") else ""
        if here and other and other != here:
            assert PLACE[other] < PLACE[here], f"{module(path)} imports {name}, which lies below it"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_room_is_entered_through_its_door(path: Path) -> None:
    here = room(module(path))
    for source, name, line in imported_names(path):
        if not source.startswith("embedseg.") or room(source) in (here, *FACES):
            continue
        if room(source) in WITH_STUB:
            assert source == f"embedseg.{room(source)}", f"{path}:{line} imports {source}"
            assert name in offered(room(source)), f"{path}:{line}: {source} does not offer {name}"


@pytest.mark.parametrize("path", FILES, ids=module)
def test_nothing_imports_a_face(path: Path) -> None:
    here = room(module(path))
    assert not [name for name in imports(path) if room(name) in FACES - {here}]


def test_there_is_no_cycle_of_files() -> None:
    graph = {module(p): {n for n in imports(p) if n in MODULES} - {module(p)} for p in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"cycle of imports: {error.args[1]}")


WITHOUT_TORCH = [p for p in FILES if room(module(p)) in SECTIONS["arrays"]]


@pytest.mark.parametrize("path", WITHOUT_TORCH, ids=module)
def test_arrays_do_without_torch(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"torch", "lightning", "lightning_fabric"}


@pytest.mark.parametrize("path", FILES, ids=module)
def test_heavy_optional_libraries_are_imported_in_functions(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path, eager=True)}
    assert not roots & {"matplotlib", "h5py", "zarr", "dask", "bioimageio"}


@pytest.mark.parametrize("path", [p for p in FILES if room(module(p)) != "napari"], ids=module)
def test_only_the_plugin_knows_napari(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"napari", "qtpy", "superqt", "npe2", "magicgui", "PyQt6", "PySide6"}


def test_modules_that_programs_and_pages_import_are_there() -> None:
    # In strings and pages too, where no linter looks.
    root = PACKAGE.parent
    texts = [p for p in root.glob("tests/**/*.py")]
    texts += [p for end in ("py", "md", "ipynb") for p in root.glob(f"examples/**/*.{end}")]
    for path in [*texts, root / "README.md"]:
        for source in re.findall(r"\bfrom (embedseg(?:\.\w+)*) import", path.read_text()):
            assert find_spec(source), f"{path}: there is no {source}"


# -- names -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", FILES, ids=module)
def test_names_and_habits(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and room(module(path)) != "cli":
            assert ast.unparse(node.func) != "print", f"{path.name}:{node.lineno} prints"
        if isinstance(node, ast.Attribute):
            assert node.attr != "cuda" or ast.unparse(node.value) in {"torch", "torch.version"}, (
                f"{path.name}:{node.lineno} calls .cuda: use .to(device)"
            )
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert not node.name.lower().endswith(("_2d", "_3d", "2d", "3d")), node.name


@pytest.mark.parametrize("name", ["", *WITH_STUB])
def test_what_a_room_offers_is_there(name: str) -> None:
    here = import_module(f"embedseg.{name}".rstrip("."))
    for public in here.__all__:
        assert getattr(here, public) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = here.nonsense


@pytest.mark.parametrize("name", ["", *WITH_STUB])
def test_no_name_is_that_of_a_module(name: str) -> None:
    # Else the first import of the module would hide what is offered under its name.
    modules = {p.stem for p in (PACKAGE / name).iterdir() if p.suffix in ("", ".py")}
    assert not modules & set(import_module(f"embedseg.{name}".rstrip(".")).__all__)


# -- start-up --------------------------------------------------------------------------------------
def test_import_loads_no_torch() -> None:
    assert run("import embedseg, sys; print('torch' in sys.modules)").strip() == "False"


def test_help_loads_no_torch() -> None:
    code = (
        "import sys, contextlib, io\n"
        "sys.argv = ['embedseg', '--help']\n"
        "out = io.StringIO()\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):\n"
        "    from embedseg.cli import main\n"
        "    main()\n"
        "assert 'train' in out.getvalue(), out.getvalue()\n"
        "heavy = {'torch', 'matplotlib', 'skimage', 'numba', 'scipy', 'numpy'}\n"
        "print(heavy & set(sys.modules) or 'light')\n"
    )
    assert run(code).strip() == "light"

"""The rules of embedseg/ARCHITECTURE.md, held against the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "embedseg"
FILES = sorted(PACKAGE.rglob("*.py"))
# Layers in which the order of the files counts too.
ORDERED = {3, 4}


def rooms() -> dict[str, tuple[int, int]]:
    """Name of each room ("io", "nets") -> (layer, place in the list)."""
    block = (PACKAGE / "ARCHITECTURE.md").read_text().split("## Rooms")[1].split("```")[1]
    found: dict[str, tuple[int, int]] = {}
    layer = -1
    for place, line in enumerate(block.splitlines()):
        if heading := re.match(r"-- layer (\d)", line):
            layer = int(heading[1])
        elif (name := re.match(r"(\w+)(\.py|/)\s", line)) and layer >= 0:
            found[name[1]] = (layer, place)
    return found


ROOMS = rooms()


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


MODULES = {module(path) for path in FILES}


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, eager: bool) -> list[ast.AST]:
    """Nodes below `node`, without those for type checkers; eager: only what an import runs."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        found.append(child)
        if not (eager and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            found += statements(child, eager)
    return found


def imports(path: Path, eager: bool = False) -> set[str]:
    """Full names of the modules a file imports, inside functions too unless `eager`."""
    found: set[str] = set()
    package = module(path) if path.name == "__init__.py" else module(path).rpartition(".")[0]
    for node in statements(tree(path), eager):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            source = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= (names & MODULES) or {source}
    return found


def public_functions(path: Path) -> list[str]:
    """Names of public functions and classes at the top of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for node in tree(path).body if isinstance(node, kinds)]
    return [name for name in names if not name.startswith("_")]


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rooms_of_the_page_are_the_rooms_on_disk() -> None:
    files = {p.stem for p in PACKAGE.glob("*.py") if not p.stem.startswith("__")}
    folders = {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert set(ROOMS) == files | folders


@pytest.mark.parametrize("path", FILES, ids=module)
def test_imports_go_downwards(path: Path) -> None:
    home = room(module(path))
    if home not in ROOMS:  # the package's own __init__: names only
        return
    layer, place = ROOMS[home]
    for name in imports(path):
        other = room(name) if name.startswith("embedseg.") else ""
        if other not in ROOMS or other == home:
            continue
        other_layer, other_place = ROOMS[other]
        ordered = other_place < place if layer in ORDERED else True
        assert other_layer < layer or (other_layer == layer and ordered), (
            f"{module(path)} imports {name}, which does not lie below it"
        )


def test_there_is_no_cycle() -> None:
    graph = {module(p): {n for n in imports(p) if n in MODULES} - {module(p)} for p in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"cycle of imports: {error.args[1]}")


@pytest.mark.parametrize("path", [p for p in FILES if ROOMS.get(room(module(p)), (9,))[0] == 0])
def test_layer_0_does_without_torch(path: Path) -> None:
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


def test_no_public_function_is_named_like_a_submodule() -> None:
    import embedseg

    public = set(embedseg.__all__)
    assert not public & set(ROOMS)


def test_public_names_resolve() -> None:
    import embedseg

    for name in embedseg.__all__:
        assert getattr(embedseg, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = embedseg.nonsense


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
        "print({'torch', 'matplotlib', 'skimage', 'numba'} & set(sys.modules) or 'light')\n"
    )
    assert run(code).strip() == "light"

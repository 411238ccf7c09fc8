"""The house keeps its shape: layers, names, sizes, docstrings, types, lint, and what an import loads."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rnla"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_FILE = 400

ROOT_ENTRIES = {
    "pyproject.toml", "README.md", "LICENSE", "CITATION.cff",
    "rnla", "tests", "benchmarks", "docs", "examples",
}  # fmt: skip
BUILD_LEFTOVERS = {"build", "dist", "demo-out", "__pycache__"}

OPTIONAL = {
    "array_api_strict", "click", "cupy", "cupyx", "dask", "distributed", "fast_matrix_market", "h5py", "hypothesis",
    "jax", "matplotlib", "numba", "pytest", "rich", "sklearn", "torch", "tqdm", "typer", "zarr",
}  # fmt: skip

# What the library may name in numpy.random: types anywhere, a generator of numbers in rng.py only.
RANDOM_TYPES = {"BitGenerator", "Generator", "RandomState", "SeedSequence"}
RANDOM_MAKERS = {"Philox", "default_rng"}


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def run_tool(*command: str) -> None:
    """Run a tool in the root with this Python; its output is the message when it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


# ------------------------------------------------------------------------------------------------------ tools
@pytest.mark.subprocess
def test_import_contracts_hold() -> None:
    run_tool(sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])")


@pytest.mark.subprocess
def test_ruff_finds_nothing() -> None:
    run_tool(sys.executable, "-m", "ruff", "check", "--no-cache", ".")


@pytest.mark.subprocess
def test_ruff_would_format_nothing() -> None:
    run_tool(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".")


@pytest.mark.slow
@pytest.mark.subprocess
def test_mypy_strict_finds_nothing() -> None:
    run_tool(sys.executable, "-m", "mypy")


# -------------------------------------------------------------------------------------------- files and names
def test_the_root_holds_nothing_unexpected() -> None:
    found = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    leftovers = {name for name in found if name in BUILD_LEFTOVERS or name.endswith(".egg-info")}
    assert found - leftovers <= ROOT_ENTRIES, f"not expected in the root: {found - leftovers - ROOT_ENTRIES}"


def test_no_file_is_named_after_nothing() -> None:
    nameless = re.compile(r"_?(utils?|misc|helpers?|common)(_.*)?", re.IGNORECASE)
    found = [short(p) for p in [*SOURCES, *TESTS] if nameless.fullmatch(p.stem) or nameless.fullmatch(p.parent.name)]
    assert not found, f"a file is named after what it does: {found}"


def test_no_file_is_too_long() -> None:
    lengths = {short(p): len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES}
    found = {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE}
    assert not found, f"past {LONGEST_FILE} lines there is a wall to find: {found}"


def test_every_package_folder_has_an_init() -> None:
    found = [short(folder) for folder in {p.parent for p in SOURCES} if not (folder / "__init__.py").exists()]
    assert not found, f"the import contracts do not see these folders: {found}"


# -------------------------------------------------------------------------------------------------- randomness
def numpy_random_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and attribute for `np.random.<attribute>` and `from numpy.random import <attribute>`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "numpy.random":
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
            and isinstance(node.value.value, ast.Name)
            and node.value.value.id in {"np", "numpy"}
        ):
            yield node.lineno, node.attr


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_randomness_comes_from_rng_only(path: Path) -> None:
    tree = parse(path)
    allowed = RANDOM_TYPES | (RANDOM_MAKERS if path == PACKAGE / "rng.py" else set())
    found = [f"line {line}: numpy.random.{name}" for line, name in numpy_random_uses(tree) if name not in allowed]
    found += [
        f"line {node.lineno}: the standard library's random"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random" and not node.level)
    ]
    assert not found, f"{short(path)}: {found}"


# ----------------------------------------------------------------------------------------------------- imports
def imports_at_module_level(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of the imports that run when the module is imported."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_scipy_is_imported_inside_functions(path: Path) -> None:
    found = [f"line {line}: {n}" for line, n in imports_at_module_level(parse(path)) if n.split(".")[0] == "scipy"]
    assert not found, f"{short(path)} pays for scipy before anyone asked: {found}"


@pytest.mark.subprocess
def test_import_loads_no_optional_module() -> None:
    code = "import json, sys, rnla; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(json.loads(done.stdout))
    unwanted = {"scipy", "scipy.linalg", "scipy.sparse", *OPTIONAL}
    assert not loaded & unwanted, f"import rnla loads {sorted(loaded & unwanted)}"


def test_every_module_can_be_imported() -> None:
    """Only a missing optional library excuses a module; the doctest run skips such a module without a word."""
    broken = {}
    for info in pkgutil.walk_packages([str(PACKAGE)], prefix="rnla."):
        if info.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(info.name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in OPTIONAL:
                broken[info.name] = repr(error)
        except Exception as error:
            broken[info.name] = repr(error)
    assert not broken, broken


# -------------------------------------------------------------------------------------------------- docstrings
def public_names() -> list[str]:
    return sorted(importlib.import_module("rnla").__all__)


def sections(docstring: str) -> dict[str, str]:
    """Split a numpydoc docstring at its underlined headings."""
    pieces = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", inspect.cleandoc(docstring) + "\n", flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def missing_from_docstring(name: str, thing: object) -> list[str]:
    """Name what a reader would look for in vain."""
    docstring = thing.__doc__ or ""
    if not docstring.strip():
        return ["a docstring"]
    if not callable(thing) or (inspect.isclass(thing) and issubclass(thing, BaseException)):
        return []
    found = sections(docstring)
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return []  # its members are its documentation, and its constructor is Python's
    parameters = [p for p in inspect.signature(thing).parameters if p not in {"self", "cls"} and not p.startswith("_")]
    described = found.get("Parameters", "") + found.get("Attributes", "")
    missing = [f"parameter {p}" for p in parameters if not re.search(rf"^.*\b{p}\b.*$", described, re.MULTILINE)]
    if not inspect.isclass(thing):
        annotation = str(inspect.signature(thing).return_annotation)
        if annotation != "None" and not {"Returns", "Yields"} & found.keys():
            missing.append("Returns")
        if ">>>" not in found.get("Examples", ""):
            missing.append("Examples")
    return missing


def test_every_public_name_is_documented() -> None:
    import rnla

    missing = {name: missing_from_docstring(name, getattr(rnla, name)) for name in public_names()}
    missing = {name: lacks for name, lacks in missing.items() if lacks and not name.startswith("__")}
    assert not missing, missing


def test_every_citation_has_its_reference() -> None:
    entries = re.findall(r"^@\w+\{(\w+),", (ROOT / "docs" / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    cited = {key: short(p) for p in SOURCES for key in re.findall(r"\[([a-z]+\d{4}[a-z]?)\]_", p.read_text("utf-8"))}
    assert len(entries) == len(set(entries))
    assert cited.keys() <= set(entries), {key: where for key, where in cited.items() if key not in entries}


def test_every_public_name_is_in_dir() -> None:
    import rnla

    assert set(public_names()) <= set(dir(rnla))


# ---------------------------------------------------------------------------------------------- the tests too
def asserts_something(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a test can fail for a reason that it names."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).split(".")[-1]
            if called in {"raises", "warns", "fail", "run_tool"} or called.startswith(("assert_", "check_")):
                return True
    return False


def test_every_test_asserts_something() -> None:
    idle = [
        f"{short(path)}::{node.name}"
        for path in TESTS
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith(("test_", "assert_", "check_"))
        and not asserts_something(node)
    ]
    assert not idle, f"these cannot fail: {idle}"


def test_every_statistical_test_states_its_alarm_rate() -> None:
    silent = [
        f"{short(path)}::{node.name}"
        for path in TESTS
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef)
        and any("mark.statistical" in ast.unparse(decorator) for decorator in node.decorator_list)
        and "alarm" not in (ast.get_docstring(node) or "")
    ]
    assert not silent, f"a counting test says how often it fails by chance: {silent}"

"""The documents tell the truth: their code runs and prints what they show, their links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnla
from rnla.compression.column_selection import COLUMN_SELECTIONS
from rnla.matfun import ROOT_METHODS
from rnla.orth import ORTHONORMALIZERS
from rnla.rangefinder import RANGE_FINDERS
from rnla.sketch import SKETCHES

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page as (language, text)."""
    return [(str(m[1]), str(m[2])) for m in FENCED.finditer(page.read_text(encoding="utf-8"))]


def with_code(pages: list[Path]) -> list[Path]:
    return [page for page in pages if any(language == "python" for language, _ in blocks(page))]


@pytest.mark.parametrize("page", with_code(DOCS), ids=short)
def test_the_code_of_a_page_prints_what_is_shown(page: Path) -> None:
    """Run the blocks of a page in order, in one namespace; a text block after one is what it prints."""
    names: dict[str, object] = {"__name__": "page"}
    found = blocks(page)
    for (language, code), (after, shown) in zip(found, [*found[1:], ("", "")], strict=True):
        if language != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), np.printoptions():
            exec(compile(code, short(page), "exec", dont_inherit=True), names)
        assert printed.getvalue().rstrip() == (shown.rstrip() if after == "text" else ""), code


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"`((?:rnla|tests|docs|benchmarks|examples)/[\w./]+\.(?:py|md|bib))`", text)
    modules = [name.replace(".", "/") + ".py" for name in re.findall(r"python -m (benchmarks\.\w+)", text)]
    missing = [name for name in [*files, *modules] if not (ROOT / name).exists()]
    assert not missing


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)", FENCED.sub("", page.read_text(encoding="utf-8")))
        pending += [(page.parent / link).resolve() for link in links if not re.match(r"[a-z]+:", link)]
    assert {short(page) for page in DOCS} <= {short(page) for page in reached}


def table(page: str, heading: str) -> list[dict[str, str]]:
    """Return the rows of the table under a heading of a page, each by the names of its columns."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (own,) = [part for part in section if part.startswith(heading + "\n")]
    lines = [line.strip("| \n") for line in own.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


PLANS = table("how-to-choose.md", "What does the plan pick?")
CALLS = table("how-to-choose.md", "Which factorization?")


def described(row: dict[str, str]) -> object:
    """Return a matrix of the size and kind of a row, without its memory."""
    shape = tuple(int(side) for side in row["Matrix"].split(" x "))
    kind, _, dtype = row["Kind"].partition(", ")
    dtype = dtype or "float64"
    if kind == "dense":
        return np.broadcast_to(np.zeros((), dtype), shape)
    scipy_sparse = pytest.importorskip("scipy.sparse")
    if kind == "sparse":
        return scipy_sparse.csr_array(shape, dtype=dtype)
    assert kind == "operator"

    def never(x: object) -> object:
        raise AssertionError("a plan multiplies nothing")

    linalg = pytest.importorskip("scipy.sparse.linalg")
    return linalg.LinearOperator(shape, matvec=never, rmatvec=never, matmat=never, rmatmat=never, dtype=dtype)


@pytest.mark.parametrize("row", PLANS, ids=lambda row: f"{row['Matrix']}, {row['Kind']}, {row['Request']}")
def test_the_plan_picks_what_the_page_says(row: dict[str, str]) -> None:
    request = eval(f"dict({row['Request'].strip('`')})")
    with rnla.config_context(memory_budget=1 << 50):  # a plan that does not fit this machine is a plan too
        method = rnla.plan(described(row), **request).method
    assert f"`{type(method).__name__}`" == row["Method"]


def test_the_plans_of_the_page_are_of_every_kind() -> None:
    assert {row["Kind"].partition(",")[0] for row in PLANS} == {"dense", "sparse", "operator"}
    assert {row["Method"] for row in PLANS} >= {"`FullSVD`", "`GramEigh`", "`SubspaceIteration`", "`Adaptive`"}


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row["Call"])
def test_a_call_of_the_page_can_be_made(row: dict[str, str]) -> None:
    """Each is made as it stands; where a rank was asked for, that rank and an error of a kind come back."""
    A = np.random.default_rng(0).standard_normal((40, 30)) * 0.8 ** np.arange(30)
    K = A @ A.T
    result = eval(row["Call"].strip("`"), {"rnla": rnla, "A": A, "X": A, "K": K, "H": K - np.eye(40)})
    if ", 5" not in row["Call"]:  # a norm, a rank
        assert result.lower <= result.upper
        return
    result = getattr(result, "singular_values", result) if type(result).__name__ == "Spectrum" else result
    assert result.error.kind in {"exact", "bounded", "estimated"}
    assert result.report.rank == 5


def test_every_factorization_is_on_the_choosing_page() -> None:
    """Whatever takes a rank, of a matrix or of a result."""
    choosing = (ROOT / "docs" / "how-to-choose.md").read_text(encoding="utf-8")
    functions = {name: getattr(rnla, name) for name in rnla.__all__ if inspect.isfunction(getattr(rnla, name))}
    found = [name for name, thing in functions.items() if "rank" in inspect.signature(thing).parameters]
    assert {"svd", "eigh", "cholesky", "stream"} <= set(found)
    assert not [name for name in found if f"rnla.{name}(" not in choosing]


def test_every_part_is_on_the_choosing_page() -> None:
    choosing = (ROOT / "docs" / "how-to-choose.md").read_text(encoding="utf-8")
    parts = [*RANGE_FINDERS.values(), *SKETCHES.values(), *COLUMN_SELECTIONS.values(), *ORTHONORMALIZERS.values()]
    parts += [part for part in ROOT_METHODS.values() if hasattr(rnla, part.__name__)]
    names = [part.__name__ if isinstance(part, type) else type(part).__name__ for part in parts]
    assert not [name for name in names if f"`{name}(" not in choosing]
    offered = re.findall(r"^\| `(\w+)\(", choosing, re.MULTILINE)
    assert not [name for name in offered if not hasattr(rnla, name)]


def test_the_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == rnla.__version__  # type: ignore[index]


@pytest.mark.subprocess
@pytest.mark.parametrize("script", EXAMPLES, ids=short)
def test_an_example_runs(script: Path, tmp_path: Path) -> None:
    if "matplotlib" in script.read_text(encoding="utf-8") and importlib.util.find_spec("matplotlib") is None:
        pytest.skip("no matplotlib")
    environment = {**os.environ, "RNLA_EXAMPLE_SMALL": "1"}
    command = [sys.executable, "-W", "error", str(script), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.subprocess
@pytest.mark.parametrize("script", [p for p in BENCHMARKS if "\nif __name__" in p.read_text("utf-8")], ids=short)
def test_a_benchmark_says_what_it_is_for(script: Path) -> None:
    if script.stem == "speed" and (not importlib.util.find_spec("scipy")):
        pytest.skip("no scipy")
    command = [sys.executable, "-m", f"benchmarks.{script.stem}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks.{script.stem}" in done.stdout

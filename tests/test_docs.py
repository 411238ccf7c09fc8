"""The documents tell the truth: their code runs and prints what they show, their links lead somewhere."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnla
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


def test_every_part_is_in_the_catalogue_and_on_the_choosing_page() -> None:
    catalogue = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    parts = [*RANGE_FINDERS.values(), *SKETCHES.values(), *(type(part) for part in ORTHONORMALIZERS.values())]
    assert not [part.__name__ for part in parts if f"`{part.__name__}`" not in catalogue]
    choosing = (ROOT / "docs" / "how-to-choose.md").read_text(encoding="utf-8")
    assert not [part.__name__ for part in RANGE_FINDERS.values() if f"`{part.__name__}(" not in choosing]


def test_every_key_in_the_catalogue_has_its_reference() -> None:
    references = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"\[([a-z]+\d{4})\]", (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8"))
    assert keys
    assert not [key for key in keys if f"{{{key}," not in references]


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
@pytest.mark.parametrize("script", [p for p in BENCHMARKS if p.stem not in {"__init__", "cases"}], ids=short)
def test_a_benchmark_says_what_it_is_for(script: Path) -> None:
    if script.stem == "speed" and (not importlib.util.find_spec("scipy")):
        pytest.skip("no scipy")
    command = [sys.executable, "-m", f"benchmarks.{script.stem}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks.{script.stem}" in done.stdout

"""Write docs/catalogue.md from docs/catalogue/*.toml.

    python docs/make_catalogue.py

One file an area, one ``[[algorithm]]`` a row, with the fields

    name       the class or function, or a few words
    number     its number in the paper, such as "HMT 4.2", or ""
    paper      keys of references.bib
    call       how a user calls it
    file       where it stands
    cost, guarantee, use
    test       the file that checks it, or several with commas
    oracle     the paper's algorithm transcribed, in tests/reference, or ""
    area       only where it is not the file's

``problems.toml`` has the index by problem (``[[problem]]`` with question and names), ``theorems.toml`` the theorems
that tests rest on (``[[theorem]]`` with number, says and test).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
SOURCES, TARGET = DOCS / "catalogue", DOCS / "catalogue.md"

FIELDS = ("name", "number", "paper", "call", "file", "cost", "guarantee", "test", "oracle", "use")
INDEXES = ("problems", "theorems")

AREAS = {  # in the order of the page
    "factorizations": "Factorizations",
    "hermitian": "Hermitian and positive semidefinite matrices",
    "skeletons": "Rows and columns",
    "cholesky": "Cholesky from entries",
    "streaming": "One pass and streams",
    "batched": "Stacks of small matrices",
    "estimates": "Norms, spectra and ranks",
    "robust": "Low rank and outliers",
    "roots": "Roots after a low-rank change",
    "range_finders": "Range finders",
    "compression": "Compression",
    "sketches": "Test matrices",
    "orthonormalizers": "Orthonormalizers",
    "certificates": "Error estimates",
}

PAPER = {
    "4.1": "randomized range finder",
    "4.2": "adaptive randomized range finder",
    "4.3": "randomized power iteration",
    "4.4": "randomized subspace iteration",
    "4.5": "fast randomized range finder",
    "5.1": "direct SVD",
    "5.2": "SVD via row extraction",
    "5.3": "direct eigenvalue decomposition",
    "5.4": "eigenvalue decomposition via row extraction",
    "5.5": "eigenvalue decomposition via Nyström",
    "5.6": "eigenvalue decomposition in one pass",
}

HEAD = """# Catalogue

Every algorithm in the library: how it is called, what it costs, what is guaranteed, what it is checked against, and
where it comes from. Keys in brackets are entries of [references.bib](references.bib). The conformance suites of
`rnla.testing` run over every part; `tests/reference/` holds the papers' own algorithms, transcribed literally in plain
NumPy, as oracles. Which to take is on [another page](how-to-choose.md).

This page is written by `docs/make_catalogue.py` from the files in `docs/catalogue/`.
"""


def read(name: str) -> dict[str, Any]:
    """Return the content of one source."""
    path = SOURCES / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def rows() -> list[dict[str, Any]]:
    """Return all rows with their area, in the order of the page."""
    found = []
    for path in sorted(SOURCES.glob("*.toml")):
        if path.stem not in INDEXES:
            found += [{"area": path.stem, **row} for row in read(path.stem)["algorithm"]]
    unknown = {row["area"] for row in found} - set(AREAS)
    if unknown:
        raise ValueError(f"areas without a title in AREAS: {sorted(unknown)}")
    return sorted(found, key=lambda row: list(AREAS).index(row["area"]))


def numbers(row: dict[str, Any]) -> list[str]:
    """Return the numbers of the algorithms of Halko, Martinsson and Tropp that a row implements."""
    if not row["number"].startswith("HMT"):
        return []
    parts = row["number"].removeprefix("HMT").split(",")
    return [match[1] for part in parts if (match := re.match(r"\s*(\d+\.\d+)", part))]


def files(text: str) -> list[str]:
    """Return the files that a field names."""
    return [part.strip() for part in text.split(",") if part.strip()]


def words(row: dict[str, Any]) -> set[str]:
    """Return the names that a row is found by: its own, and those in its call."""
    return {row["name"], *re.findall(r"\w+", row["name"] + " " + row["call"])}


def area_of(name: str, found: list[dict[str, Any]]) -> str:
    """Return the area of the row with a name, or of the first whose call has it."""
    for row in sorted(found, key=lambda row: row["name"] != name):
        if name in words(row):
            return str(row["area"])
    raise KeyError(f"no row has {name!r}")


def anchor(area: str) -> str:
    """Return the link to the heading of an area."""
    return "#" + re.sub(r"[^\w\- ]", "", AREAS[area].lower()).replace(" ", "-")


def code(text: str) -> str:
    """Return names in code type, words as they are."""
    return f"`{text}`" if re.fullmatch(r"[\w.]+", text) else text


def cell(text: str) -> str:
    """Return text that fits in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def handle(row: dict[str, Any]) -> str:
    """Return the name of a row, with the part or the function that is called where the name is not one."""
    if re.fullmatch(r"\w+", row["name"]):
        return code(row["name"])
    match = re.search(r"method=(?:rnla\.)?(\w+)", row["call"]) or re.search(r"(\w+)\(", row["call"])
    return f"{row['name']} (`{match[1]}`)" if match else str(row["name"])


def called(text: str) -> str:
    """Return a call in code type."""
    return f"`{cell(text)}`" if text else ""


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a table in Markdown."""
    out = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in out) + "\n"


def line(row: dict[str, Any]) -> list[str]:
    """Return the cells of an algorithm."""
    name = code(row["name"]) + (f"<br>{row['number']}" if row["number"] else "")
    checked = [f"`{path}`" for path in [*files(row["test"]), *files(row["oracle"])]]
    source = [" ".join(f"[{key}]" for key in row["paper"]), f"`{row['file']}`", *checked]
    texts = [cell(row[field]) for field in ("use", "cost", "guarantee")]
    return [name, called(row["call"]), *texts, "<br>".join(part for part in source if part)]


def page() -> str:
    """Return the catalogue."""
    found = rows()
    parts = [HEAD]
    parts.append("## By its number in Halko, Martinsson and Tropp\n")
    body = []
    for number, title in PAPER.items():
        # A row for this algorithm alone comes before those that use it among others.
        own = sorted((row for row in found if number in numbers(row)), key=lambda row: row["number"] != f"HMT {number}")
        names = ", ".join(f"[{handle(row)}]({anchor(row['area'])})" for row in own)
        oracles = dict.fromkeys(path for row in own for path in files(row["oracle"]))
        body.append([number, title, names, "<br>".join(f"`{path}`" for path in oracles)])
    parts.append(table(["Algorithm", "In the paper", "Here", "Oracle"], body))
    theorems = read("theorems").get("theorem", [])
    if theorems:
        parts.append("Their theorems, and the tests that hold the library to them:\n")
        body = [
            [row["number"], cell(row["says"]), "<br>".join(f"`{p}`" for p in files(row["test"]))] for row in theorems
        ]
        parts.append(table(["Theorem", "Says", "Test"], body))
    known = set().union(*(words(row) for row in found))
    problems = [
        {**row, "names": [name for name in row["names"] if name in known]}
        for row in read("problems").get("problem", [])
    ]
    if problems:
        parts.append("## By problem\n")
        body = [
            [
                cell(row["question"]),
                ", ".join(f"[{code(name)}]({anchor(area_of(name, found))})" for name in row["names"]),
            ]
            for row in problems
            if row["names"]
        ]
        parts.append(table(["I want", "Take"], body))
    for area, title in AREAS.items():
        own = [line(row) for row in found if row["area"] == area]
        if own:
            parts.append(f"## {title}\n")
            parts.append(table(["Name", "Call", "Use", "Cost", "Guarantee", "Source and checks"], own))
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")

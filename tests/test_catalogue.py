"""The catalogue is whole: generated from its rows, and every row points at what is there."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rnla
from rnla.orth import ORTHONORMALIZERS
from rnla.rangefinder import RANGE_FINDERS
from rnla.sketch import SKETCHES

ROOT = Path(__file__).resolve().parent.parent


ROOMS = ("rnla.streaming.", "rnla.matfun.", "rnla.robust.")  # of both classes and functions


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_catalogue", ROOT / "docs" / "make_catalogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = generator()
ROWS: list[dict[str, Any]] = MAKE.rows()


NAMED = set().union(*(MAKE.words(row) for row in ROWS))


def test_the_page_is_what_the_rows_say() -> None:
    """If this fails: python docs/make_catalogue.py."""
    assert (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8") == MAKE.page()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_row_is_complete_and_points_at_files_that_exist(row: dict[str, Any]) -> None:
    assert set(row) - {"area"} == set(MAKE.FIELDS)
    assert all(row[field] for field in ("name", "file", "cost", "guarantee", "test", "use"))
    paths = [path for field in ("file", "test", "oracle") for path in MAKE.files(row[field])]
    assert not [path for path in paths if not (ROOT / path).is_file()]
    assert all(path.startswith("tests/reference/") for path in MAKE.files(row["oracle"]))


def test_no_name_has_two_rows() -> None:
    names = [row["name"] for row in ROWS]
    assert len(names) == len(set(names))


def test_every_paper_has_its_reference() -> None:
    references = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    assert not [key for row in ROWS for key in row["paper"] if f"{{{key}," not in references]


def test_every_part_has_a_row() -> None:
    parts = [*RANGE_FINDERS.values(), *SKETCHES.values(), *(type(part) for part in ORTHONORMALIZERS.values())]
    rooms = ("rnla.rangefinder.", "rnla.sketch.", "rnla.orth.", "rnla.compression.", *ROOMS)
    public = [getattr(rnla, name) for name in rnla.__all__ if name != "Stream"]
    parts += [thing for thing in public if inspect.isclass(thing) and thing.__module__.startswith(rooms)]
    assert not [part.__name__ for part in parts if part.__name__ not in NAMED]


def public_functions() -> list[str]:
    """Return the public functions that compute something of a matrix."""
    found = {name: getattr(rnla, name) for name in rnla.__all__}
    rooms = ("rnla.factorization.", *ROOMS)
    return [name for name, thing in found.items() if inspect.isfunction(thing) and thing.__module__.startswith(rooms)]


def test_every_function_has_a_row() -> None:
    found = public_functions()
    assert {"svd", "sqrtm_update", "robust_pca"} <= set(found)
    assert not [name for name in found if name not in NAMED | {"plan"}]


def test_every_algorithm_of_the_paper_is_there() -> None:
    """Algorithms 4.1 to 4.5 and 5.1 to 5.6 of Halko, Martinsson and Tropp."""
    numbers = {number for row in ROWS for number in MAKE.numbers(row)}
    assert numbers == set(MAKE.PAPER) == {f"4.{i}" for i in range(1, 6)} | {f"5.{i}" for i in range(1, 7)}


def test_every_public_name_in_a_call_is_offered() -> None:
    """A call that starts with ``rnla.`` or with a name and a parenthesis can be made."""
    calls = [(row["name"], word) for row in ROWS for word in re.findall(r"rnla\.(\w+)", row["call"])]
    assert not [(name, word) for name, word in calls if not hasattr(rnla, word)]


def test_the_indexes_name_rows_and_tests_that_are_there() -> None:
    problems = MAKE.read("problems")["problem"]
    assert not [name for problem in problems for name in problem["names"] if name not in NAMED]
    theorems = MAKE.read("theorems")["theorem"]
    assert theorems
    for theorem in theorems:
        for path in MAKE.files(theorem["test"]):
            text = (ROOT / path).read_text(encoding="utf-8")
            assert any(number in text for number in re.findall(r"\d+\.\d+", theorem["number"])), (theorem, path)

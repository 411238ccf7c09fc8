"""The front door: names load on first use, and the stub for type checkers offers the same ones."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnla

STUB = Path(rnla.__file__).with_suffix(".pyi")


def test_the_stub_offers_what_the_package_offers() -> None:
    tree = ast.parse(STUB.read_text())
    homes = {
        alias.asname: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(homes) == set(rnla.__all__)
    for name, home in homes.items():
        assert getattr(rnla, name) is getattr(importlib.import_module(str(home)), name), name


def test_every_name_is_listed_and_unknown_ones_are_refused() -> None:
    assert set(rnla.__all__) <= set(dir(rnla))
    with pytest.raises(AttributeError, match="has no attribute 'svds'"):
        rnla.svds  # noqa: B018


def test_the_packages_of_the_documentation_are_there_without_an_import_of_their_own() -> None:
    program = "import rnla; rnla.sketch.sketch_product, rnla.rng.Key, rnla.operators, rnla.orth, rnla.testing"
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(rnla.__file__).parents[1])
    assert done.returncode == 0


def test_the_package_types_its_results_for_its_users(tmp_path: Path) -> None:
    program = tmp_path / "user.py"
    program.write_text(
        "import numpy as np\n"
        "import rnla\n"
        "result = rnla.svd(np.ones((3, 2)), 1)\n"
        "reveal_type(result.error.value)\n"
        "reveal_type(rnla.plan(np.ones((3, 2)), rank=1).passes)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)],
        capture_output=True, text=True, check=False, cwd=Path(rnla.__file__).parents[1],
    )  # fmt: skip
    assert re.search(r'4: note: Revealed type is "(builtins\.)?float"', done.stdout), done.stdout
    assert re.search(r'5: note: Revealed type is ".*int.*None', done.stdout), done.stdout

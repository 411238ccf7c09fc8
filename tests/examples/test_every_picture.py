"""The examples that draw run small: they check themselves, they draw, and the page of each package lists them."""

from __future__ import annotations

import importlib
import re
import struct
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

FOLDER = Path(__file__).resolve().parents[2] / "examples"
PARTS = {
    "halko_martinsson_tropp": {"adaptive", "laplace", "patches"},
    "robust": {"model", "video"},
    "roots": set(),
}
"""What in a package is no picture but a part of one."""
PICTURES = {
    package: sorted(
        path.stem for path in (FOLDER / package).glob("*.py") if path.stem[0] != "_" and path.stem not in parts
    )
    for package, parts in PARTS.items()
}


@pytest.mark.parametrize(("package", "script"), [(p, script) for p, scripts in PICTURES.items() for script in scripts])
def test_a_picture_shows_what_it_claims(
    package: str, script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checks are the scripts' own; that they can fail is tested beside this file."""
    path = importlib.import_module(f"examples.{package}.{script}").main(True, tmp_path)
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data[:4] == b"\x89PNG"
    assert width >= 1000
    assert height >= 500
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("package", PICTURES)
def test_every_picture_is_in_the_list(package: str) -> None:
    document = importlib.import_module(f"examples.{package}").__doc__
    assert sorted(re.findall(r"^\| `(\w+)`", document, re.MULTILINE)) == PICTURES[package]

"""The demonstration: errors measured by a formula that is right, an honest comparison, a picture, and true figures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import rnla
from rnla.cli import main
from rnla.cli.demo import measured_error, run_demo
from rnla.cli.progress import Progress, clock
from rnla.iterate import Event


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_the_measured_error_is_that_of_the_dense_difference(dtype: str) -> None:
    generator = np.random.default_rng(1)
    A = scipy.sparse.random_array((50, 40), density=0.2, rng=generator, format="csr").astype(dtype)
    if dtype == "c16":
        A = A + 1j * scipy.sparse.random_array((50, 40), density=0.2, rng=generator, format="csr")
    U, s, Vh = np.linalg.svd(A.toarray(), full_matrices=False)
    not_orthonormal = U[:, :9] * 1.5, s[:9], Vh[:9] + 0.1
    for factors in ((U[:, :9], s[:9], Vh[:9]), not_orthonormal):
        expected = np.linalg.norm(A.toarray() - (factors[0] * factors[1]) @ factors[2]) / np.linalg.norm(A.toarray())
        # A difference of squares of size one: a few thousand rounded terms.
        assert measured_error(A, *factors) == pytest.approx(expected, rel=1e-12)


def figures(printed: str, row: str) -> list[str]:
    """Return the cells of a row of the table of the comparison."""
    (line,) = [line for line in printed.splitlines() if line.startswith(f"│ {row}")]
    return [cell.strip() for cell in line.strip("│").split("│")][1:]


def test_the_demonstration_on_a_part_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    run_demo("pictures", max_files=60, tol=0.6)
    captured = capsys.readouterr()
    printed = captured.out
    ours, theirs = (float(cell) for cell in figures(printed, "relative error, measured"))
    certified = float(figures(printed, "relative error, certified")[0].partition(",")[0])
    assert ours <= 0.6
    # The identity and the formula see the same factors; both round at 1e-15, and six digits are printed.
    assert certified == pytest.approx(ours, abs=2e-6)
    # svds computes the optimum of the same rank to rounding, and the rank certified is 5 % above the optimal at most.
    assert ours * 0.9 <= theirs <= ours + 2e-6
    passes, products = figures(printed, "readings of the matrix"), figures(printed, "columns multiplied")
    assert int(passes[0].partition(",")[0]) < int(products[0])
    assert int(passes[1]) > 100
    assert re.search(r"% +│\n╰", printed)  # topics end with the share of a part of the library
    assert Path("pictures/spectrum.png").read_bytes().startswith(b"\x89PNG")


def test_it_can_be_repeated_and_replaces_its_own_picture_only(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    tree = Path("tree")
    tree.mkdir()
    generator = np.random.default_rng(2)
    words = ["river", "bridge", "boat", "water", "stone", "fish", "mill", "reed"]
    for i in range(30):
        (tree / f"m{i}.py").write_text("# " + " ".join(generator.choice(words, 4)) + "\n")
    for _ in range(2):
        run_demo("pictures", root=tree)
        assert "pictures/spectrum.png" in capsys.readouterr().out
    Path("pictures/spectrum.png").write_bytes(b"\x89PNG\r\n my own")
    with pytest.raises(rnla.InputError, match="exists"):
        run_demo("pictures", root=tree)
    run_demo("pictures", root=tree, force=True)
    assert b"rnla" in Path("pictures/spectrum.png").read_bytes()


def test_without_matplotlib_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Row G17."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    run_demo("pictures", max_files=20)
    assert 'pip install "rnla[plot]"' in capsys.readouterr().out
    assert not Path("pictures").exists()


@pytest.mark.subprocess
def test_the_command_itself() -> None:
    pytest.importorskip("matplotlib")
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "rnla", "demo", "--quick"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    assert "svds" in done.stdout
    assert os.listdir("demo-out") == ["spectrum.png"]


def test_a_wrong_folder_is_refused_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert main(["demo", "--out", "file"]) == 2
    assert "not a folder" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------- progress
def event(**given: Any) -> Event:
    values: dict[str, Any] = {
        "stage": "working",
        "passes": 1.0,
        "planned_passes": 4.0,
        "elapsed": 1.0,
        "remaining": None,
        "error": None,
    }
    return Event(**{**values, **given})


def test_progress_says_passes_and_time_left() -> None:
    progress = Progress()
    progress(event())
    assert progress.line().startswith("rnla: working: 25 %, pass 1 of 4, ")
    assert "left" in progress.line()
    progress(event(passes=4.0))
    assert "left" not in progress.line()  # what comes after the last pass has no known length


def test_progress_towards_a_tolerance_is_that_of_the_logarithm() -> None:
    progress = Progress(tol=1e-8)
    progress(event(planned_passes=None, error=1e-2))
    assert progress.line().startswith("rnla: working: 25 %, pass 1, error 1.00e-02")
    for error in (None, 2.0, 0.0, 1e-9):
        progress(event(planned_passes=None, error=error))
        assert "left" not in progress.line()


def test_progress_of_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        progress(event())
    assert capsys.readouterr() == ("", "")
    assert clock(59.6) == "1:00"

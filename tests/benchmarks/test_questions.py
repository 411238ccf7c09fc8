"""Each question runs at a small size, saves what it found, and its answers are right; times are not judged."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    choice,
    eigenpairs,
    error_vs_passes,
    first_call,
    gram_schmidt,
    kernel_matrix,
    mixed_precision,
    orthonormalize,
    page,
    robust,
    roots,
    selection,
    sketching,
    sliding_roots,
    sparse,
    symmetric,
    threads,
    tolerance,
)

pytest.importorskip("sklearn")


def run(module: Any, folder: Path, *more: str) -> dict[str, Any]:
    """Run a module and return what it saved."""
    module.main(["--quick", "--rounds", "1", "--threads", "1", "--out", str(folder), *more])
    name = module.__name__.rsplit(".", 1)[1]
    saved = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert saved["about"]["threads"] == 1
    return saved["results"]  # type: ignore[no-any-return]


def test_eigenpairs(tmp_path: Path) -> None:
    found = run(eigenpairs, tmp_path)["slow-6"]
    exact = found["rows"]["scipy eigsh"]
    assert exact["error"] < 1e-10
    assert exact["our error"] <= eigenpairs.EXACT
    assert all(row["our error"] <= row["bar"] for row in found["rows"].values() if row["ours"])


def test_selection(tmp_path: Path) -> None:
    """No choice of columns is better than the best of the rank, and ours is within two percent of the peer's."""
    found = run(selection, tmp_path)["slow-6"]
    assert all(row["error"] >= 1 for row in found["rows"].values())
    assert found["rows"][found["chosen"]]["error"] <= found["bar"]
    assert found["bar"] == pytest.approx(1.02 * found["rows"]["interp_decomp"]["error"], rel=1e-6)


def test_tolerance(tmp_path: Path) -> None:
    """The least rank by Eckart and Young is a bound that no answer beats."""
    found = run(tolerance, tmp_path, "--tol", "0.1")["fast-0.1"]
    assert found["error"] <= 0.1
    assert found["optimal rank"] <= found["rank"] <= found["optimal rank"] + 4
    assert found["told by"]


def test_choice(tmp_path: Path) -> None:
    """The best is never slower than the default, and never worse in either of the two numbers."""
    cases = [part for case in ("square", "skinny", "kernel") for part in ("--case", case)]
    choice.main(["--small", "--rounds", "1", "--threads", "1", "--out", str(tmp_path), *cases])
    read = {path.stem[7:]: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("choice-*.json")}
    found = {name: saved["results"] for name, saved in read.items()}
    assert set(found) == {
        f"{case}{asked}"
        for case in ("square-slow-float64", "skinny-slow-float64", "kernel-float64")
        for asked in ("-rank=8", "-tol=0.1")
    }
    rows = page.choice({f"choice-{name}": saved for name, saved in read.items()})
    assert len({row.count(" | ") for row in rows}) == 1
    assert len(rows) == 2 + len(found)
    for row in found.values():
        assert row["ratio"] >= 1
        assert row["over"] == (row["ratio"] > choice.LIMIT)
        assert all(best <= max(mine, 1e-11) for best, mine in zip(row["best errors"], row["errors"], strict=True))
        assert len(row["curve"]) > 5
    assert found["square-slow-float64-tol=0.1"]["errors"][1] == pytest.approx(51, abs=3)  # Eckart and Young: 51


def test_a_fast_answer_that_is_worse_in_either_number_is_no_rival() -> None:
    trial = choice.Trial(choice.make(("square", "slow", "float64", {"rank": 8}), True), {"rank": 8})
    assert trial.no_worse((1e-3, 1e-4), (1e-3, 1e-4))
    assert not trial.no_worse((1e-4, 1.1e-4), (1e-3, 1e-4))
    assert not trial.no_worse((1.1e-3, 1e-5), (1e-3, 1e-4))
    assert trial.no_worse((1e-15, 1e-15), (0.0, 0.0))  # rounding


def test_methods_are_tried_along_ladders_of_more_work() -> None:
    for shape, asked in (((4000, 4000), {"rank": 50}), ((300, 150), {"tol": 0.1})):
        ladders = list(choice.ladders(shape, True, asked))
        names = {name for ladder in ladders for name, _ in ladder}
        assert {"FullSVD", "GramQB"} <= names
        assert ("GramEigh" in names) == (min(shape) < 4000)
        for ladder in ladders:
            methods = [choice.method_of(*rung) for rung in ladder]
            assert None not in methods
            if "rank" in asked and hasattr(methods[0], "size_for"):
                work = [method.size_for(50) * (1 + getattr(method, "power_iterations", 0)) for method in methods]
                assert work == sorted(work)


def test_kernel_matrix(tmp_path: Path) -> None:
    """All three leave a part of the trace, pivoting no more than twice what the others leave."""
    found = run(kernel_matrix, tmp_path)["30"]["rows"]
    assert {row["rank"] for row in found.values()} == {30}
    assert all(0 < row["error"] < 1 for row in found.values())
    assert found["rnla.cholesky"]["error"] < 2 * min(row["error"] for row in found.values())


def test_gram_schmidt(tmp_path: Path) -> None:
    """Basis and block are orthonormal together to rounding, by sweeps and by separate products: 100 eps sqrt(20)."""
    (found,) = run(gram_schmidt, tmp_path).values()
    assert all(row["orthonormality"] <= 100 * 2.3e-16 * 20**0.5 for row in found["rows"].values())


def test_orthonormalize(tmp_path: Path) -> None:
    """Everybody is orthonormal to rounding, on panels of condition 1e12 and 1e15 too: 30 eps sqrt(12)."""
    found = run(orthonormalize, tmp_path)
    assert len(found) == 3
    for result in found.values():
        assert all(row["orthonormality"] <= 30 * 2.3e-16 * 12**0.5 for row in result["rows"].values())


def test_mixed_precision(tmp_path: Path) -> None:
    """Values from a basis in single precision are good to the square of its error, as the last pass is in double."""
    (found,) = run(mixed_precision, tmp_path).values()
    assert all(row["errors"] == found["errors"][name] for name, row in found["rows"].items())
    deep = found["errors"][f"mixed, depth {mixed_precision.DEPTHS[-1]}"]
    assert max(map(abs, deep)) <= 1e-10


def test_sketching(tmp_path: Path) -> None:
    (found,) = run(sketching, tmp_path).values()
    assert {"SparseSign(8)", "CountSketch", "clarkson_woodruff", "Gaussian, numpy"} <= set(found["rows"])
    assert all(row["seconds"] > 0 for row in found["rows"].values())


def test_threads(tmp_path: Path) -> None:
    found = run(threads, tmp_path)["square"]
    assert found["same bits"]
    assert found["limits restored"]


@pytest.mark.subprocess
def test_first_call(tmp_path: Path) -> None:
    found = run(first_call, tmp_path)
    assert set(found) == {"warm", "cold"}
    assert all(row["more"] == pytest.approx(row["first"] - row["steady"]) for row in found.values())


def test_error_vs_passes(tmp_path: Path) -> None:
    """Each finder comes near the best answer with passes enough, and the peers' formula of passes is its own."""
    found = run(error_vs_passes, tmp_path)["square-slow-8"]
    for name in ("SubspaceIteration", "BlockKrylov, blocks of 6", "sklearn"):
        points = found[name]
        assert points[0]["value"] > 1e-3
        assert points[-1]["value"] < 1e-9
        assert all(a["passes"] < b["passes"] for a, b in itertools.pairwise(points))
    assert found["sklearn"][2] == {**found["sklearn"][2], "passes": 6, "products": 108}
    assert found["propack"][0]["value"] < 1e-12
    assert found["propack"][0]["products"] >= 16


def test_sparse(tmp_path: Path) -> None:
    found = run(sparse, tmp_path)["sparse6"]
    assert found["transposed"]["same bits"]
    assert all(row["difference"] < 1e-12 for row in found["columns"].values())


def test_symmetric(tmp_path: Path) -> None:
    rows = run(symmetric, tmp_path)["rows"]
    assert rows["symmetry and norm"]["ratio"] == 1
    assert all(row["seconds"] > 0 for row in rows.values())


def test_sliding_roots(tmp_path: Path) -> None:
    """The bound of a run is above its true error and below its tolerance; so is that of single changes."""
    found = run(sliding_roots, tmp_path)
    window = found["window"]
    assert window["error"] <= window["bound"] <= window["largest bound"] <= window["tol"]
    assert window["refactorizations"] >= 1
    kept = [row for row in found["change"]["rows"].values() if row["bound"] is not None]
    assert len(kept) == 2
    assert all(row["error"] <= row["bound"] for row in kept)


def test_roots(tmp_path: Path) -> None:
    """Every contender is right, the claimed error is above the true one and below what was asked."""
    found = run(roots, tmp_path)
    assert all(row["error"] is None or row["error"] < 1e-9 for row in found["update"]["rows"].values())
    for row in found["error"]:
        bar = 1e-13 if row["dtype"] == "float64" else 1e-5
        assert row["backward"] <= row["claimed"] <= bar
        assert row["forward"] <= row["forward_bound"] + 1e-10  # what eigh does to the reference at condition 1e8
    assert [row["steps"] <= 25 for row in found["scaling"]["rows"]] == [True] * 3


@pytest.mark.subprocess
def test_robust(tmp_path: Path) -> None:
    """Every contender is right, the cross is all that is read, and what is planned for memory is enough."""
    found = run(robust, tmp_path)
    assert all(row["successes"] == row["trials"] for row in found["recovery"]["rows"].values())
    for question in ("speed", "pursuit"):
        assert all(row["error"] < robust.GOOD for row in found[question]["rows"].values())
    for part in found["scaling"].values():
        assert all(row["error"] < robust.GOOD for row in part["rows"])
        assert all(row["peak"] <= row["planned"] for row in part["rows"])
    assert found["large"]["error"] < robust.GOOD
    assert found["large"]["accepted"]
    assert found["large"]["distinct"] < found["large"]["n"] ** 2
    assert list(found["kernels"]) == ["a cross, with products", "rows", "columns", "all, with products"]
    assert all("plain" in row for row in found["kernels"].values())
    for row in found["pieces"]:
        assert row["milliseconds"]["whole"] == pytest.approx(
            sum(value for name, value in row["milliseconds"].items() if name != "whole")
        )

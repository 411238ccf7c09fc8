"""Chosen columns and rows: `rnla.interpolative` and `rnla.cur` beside `scipy.linalg.interpolative`, at equal error.

    python -m benchmarks.selection [--spectrum slow] [--rank 50] [--rounds 5] [--threads 2] [--quick]

4000 x 4000 with known singular values.  The error is that of A - A[:, J] X in the Frobenius norm over the best of
that rank; equal means within 2 percent of the peer's.  A peer that takes more than two and a half seconds runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from benchmarks import timing
from benchmarks.cases import Matrix, dense

WITHIN = 1.02
PATIENCE = 2.5  # seconds
Call = Callable[[], Any]
Parts = tuple[Any, ...]


def error(matrix: Matrix, k: int, *parts: Any) -> float:
    """Return the error of a product of factors over the best of the rank."""
    product = parts[0]
    for part in parts[1:]:
        product = product @ part
    return float(np.linalg.norm(matrix.A - product)) / matrix.optimum(k)


def peers(a: np.ndarray[Any, Any], k: int) -> dict[str, Call]:
    """Return the peers' calls; each gives the factors of its approximation."""
    from scipy.linalg import interpolative

    def decompose(rand: bool) -> Call:
        def call() -> Parts:
            chosen, rest = interpolative.interp_decomp(a, k, rand=rand, rng=np.random.default_rng(0))
            return a[:, chosen[:k]], interpolative.reconstruct_interp_matrix(chosen, rest)

        return call

    def pivoted() -> Parts:
        r, chosen = scipy.linalg.qr(a, mode="r", pivoting=True)
        x = np.empty((k, a.shape[1]))
        x[:, chosen] = scipy.linalg.solve_triangular(r[:k, :k], r[:k])
        return a[:, chosen[:k]], x

    return {"interp_decomp": decompose(True), "interp_decomp, rand=False": decompose(False), "pivoted QR": pivoted}


def ladder(a: np.ndarray[Any, Any], k: int) -> dict[str, Call]:
    """Return our calls; each gives a result."""
    import rnla

    calls: dict[str, Call] = {"rnla.interpolative": lambda: rnla.interpolative(a, k, rng=0)}
    for block, depth in ((k + 8, 2), (k // 2 + 8, 3), (k // 2 + 8, 4)):
        method = rnla.BlockKrylov(block_size=block, depth=depth)
        calls[f"BlockKrylov b={block} d={depth}"] = lambda m=method: rnla.interpolative(a, k, method=m, rng=0)
    for power in (0, 1, 2):
        method = rnla.SubspaceIteration(power_iterations=power, oversampling=10)
        calls[f"SubspaceIteration q={power}"] = lambda m=method: rnla.interpolative(a, k, method=m, rng=0)
    return calls


def measure(spectrum: str, k: int, rounds: int, small: bool) -> dict[str, Any]:
    """Return times, errors and ratios of one case."""
    import rnla

    n = 240 if small else 4000
    matrix = dense(n, n, spectrum)
    a = matrix.A
    theirs, mine = peers(a, k), ladder(a, k)
    cut: dict[str, Call] = {"rnla.cur": lambda: rnla.cur(a, k, rng=0)}
    rivals = timing.interleave(theirs, 0, warm=1, patience=-1.0)  # once, for their errors
    bars = {name: error(matrix, k, *out) for name, out in rivals.last.items()}
    bar = WITHIN * min(bars["interp_decomp"], bars["interp_decomp, rand=False"])
    chosen = timing.fastest(mine, lambda out: error(matrix, k, out.C, out.X) <= bar, runs=1 if small else 2)
    ours = dict.fromkeys(["rnla.interpolative", *([chosen] if chosen else [])])
    quick = {name: call for name, call in theirs.items() if rivals.median(name) <= PATIENCE}
    found = timing.interleave({**{name: mine[name] for name in ours}, **cut, **quick}, rounds, patience=PATIENCE)
    for name in theirs.keys() - quick.keys():  # the run for its error stands
        found.times[name], found.last[name] = rivals.times[name], rivals.last[name]
    rows = {}
    for name, out in found.last.items():
        parts = out if name in theirs else (out.C, out.U, out.R) if name == "rnla.cur" else (out.C, out.X)
        rows[name] = {"seconds": found.median(name), "error": error(matrix, k, *parts), "runs": len(found.times[name])}
        rows[name]["over default"] = found.ratio(name, "rnla.interpolative")
        rows[name]["over chosen"] = found.ratio(name, chosen) if chosen else None
    return {"rows": rows, "bar": bar, "chosen": chosen, "times": found.as_json()}


def table(result: dict[str, Any]) -> str:
    """Return the rows of one case."""
    lines = [f"  {'':<30}{'ms':>8}{'error/best':>12}{'over default':>14}{'over chosen':>13}"]
    for name, row in result["rows"].items():
        line = f"  {name:<30}{1e3 * row['seconds']:8.0f}{row['error']:12.3f}{row['over default']:13.2f}x"
        line += "" if row["over chosen"] is None else f"{row['over chosen']:12.2f}x"
        lines.append(line + (" (once)" if row["runs"] == 1 else ""))
    lines.append(f"  chosen: the fastest of ours with an error of at most {result['bar']:.3f}: {result['chosen']}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    return timing.by_rank(__doc__, "selection", ("slow",), (50, 200), measure, table, arguments)


if __name__ == "__main__":
    timing.tuned()
    main()

"""The largest eigenpairs of a symmetric matrix, to 1e-10: `rnla.eigh` beside `eigsh` and the randomized peers.

    python -m benchmarks.eigenpairs [--spectrum slow] [--rank 50] [--rounds 5] [--threads 2] [--quick]

4000 x 4000 with known eigenvalues of both signs, 1/i and exp(-i/30) in magnitude.  The error is the worst relative
error of an eigenvalue.  Each peer is held against the fastest of our settings whose error is no larger, or under
1e-10 where the peer's is; ratios are medians over interleaved rounds.  BLAS is tuned for the peers, and `eigsh` and
scikit-learn also run on one thread.  `lobpcg` finds one end of a spectrum, not the largest moduli of both signs, and
stays out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.cases import Matrix, symmetric

EXACT = 1e-10
Call = Callable[[], Any]


def worst(matrix: Matrix, k: int, w: Any) -> float:
    """Return the worst relative error among the k eigenvalues of largest magnitude."""
    found = np.sort(np.abs(np.asarray(w)))[::-1][:k]
    return float(np.max(np.abs(found - matrix.s[:k]) / matrix.s[:k]))


def peers(a: np.ndarray[Any, Any], k: int) -> dict[str, Call]:
    """Return the peers' calls; each gives its eigenvalues first."""
    from scipy.sparse.linalg import eigsh

    start = np.random.default_rng(0).standard_normal(len(a))
    calls: dict[str, Call] = {"scipy eigsh": lambda: eigsh(a, k, which="LM", v0=start)}
    calls["scipy eigsh, one thread"] = timing.on_threads(calls["scipy eigsh"], 1)
    if importlib.util.find_spec("sklearn"):
        from sklearn.utils.extmath import _randomized_eigsh

        calls["sklearn randomized_eigsh"] = lambda: _randomized_eigsh(a, k, selection="module", random_state=0)
        calls["sklearn, one thread"] = timing.on_threads(calls["sklearn randomized_eigsh"], 1)
    if importlib.util.find_spec("fbpca"):
        import fbpca

        def eigens() -> Any:
            np.random.seed(0)  # noqa: NPY002  it draws from there
            return fbpca.eigens(a, k)

        calls["fbpca eigens"] = eigens
    return calls


def ladder(a: np.ndarray[Any, Any], k: int) -> dict[str, Call]:
    """Return our settings."""
    import rnla

    calls: dict[str, Call] = {"rnla.eigh": lambda: rnla.eigh(a, k, rng=0)}
    for block in (8, 16, 24, 32, 48):
        for depth in range(3, 16):
            size = block * depth
            if k < size < min(8 * k + 120, len(a) // 2):
                method = rnla.BlockLanczos(block_size=block, depth=depth)
                calls[f"BlockLanczos b={block} d={depth}"] = lambda m=method: rnla.eigh(a, k, method=m, rng=0)
    return calls


def measure(spectrum: str, k: int, rounds: int, small: bool) -> dict[str, Any]:
    """Return times, errors and ratios of one case."""
    matrix = symmetric(240 if small else 4000, spectrum)
    theirs, mine = peers(matrix.A, k), ladder(matrix.A, k)
    bars = {name: max(EXACT, worst(matrix, k, call()[0])) for name, call in theirs.items()}
    chosen: dict[float, str | None] = {}
    for bar in sorted(set(bars.values())):
        chosen[bar] = timing.fastest(mine, lambda out, bar=bar: worst(matrix, k, out.w) <= bar, runs=1 if small else 2)
    names = dict.fromkeys(["rnla.eigh", *(name for name in chosen.values() if name)])
    found = timing.interleave({**{name: mine[name] for name in names}, **theirs}, rounds)
    errors = {name: worst(matrix, k, out[0] if name in theirs else out.w) for name, out in found.last.items()}
    default = errors["rnla.eigh"]
    rows = {}
    for name, bar in bars.items():
        rung = chosen[bar]
        rows[name] = {
            "seconds": found.median(name), "error": errors[name], "bar": bar, "ours": rung,
            "our seconds": found.median(rung) if rung else None, "our error": errors[rung] if rung else None,
            "ratio": found.ratio(name, rung) if rung else None,
            "default": found.ratio(name, "rnla.eigh"), "default under": default <= bar,
        }  # fmt: skip
    seconds = found.median("rnla.eigh")
    return {"rows": rows, "default": {"seconds": seconds, "error": default}, "times": found.as_json()}


def table(result: dict[str, Any]) -> str:
    """Return the rows of one case."""
    lines = [
        f"  {'peer':<28}{'ms':>8}{'error':>9}   {'ours no worse':<26}{'ms':>8}{'error':>9}{'faster':>8}{'default':>9}"
    ]
    for name, row in result["rows"].items():
        line = f"  {name:<28}{1e3 * row['seconds']:8.1f}{row['error']:9.0e}   "
        if row["ours"] is None:
            line += f"{'none':<51}"
        else:
            line += f"{row['ours']:<26}{1e3 * row['our seconds']:8.1f}{row['our error']:9.0e}{row['ratio']:7.2f}x"
        lines.append(f"{line}{row['default']:8.2f}x{'' if row['default under'] else ' at a larger error'}")
    default = result["default"]
    lines.append(f"  rnla.eigh(A, k): {1e3 * default['seconds']:.1f} ms, error {default['error']:.0e}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    return timing.by_rank(__doc__, "eigenpairs", ("slow", "fast"), (10, 50), measure, table, arguments)


if __name__ == "__main__":
    timing.tuned()
    main()

"""Chosen columns, and columns with rows: `rnla.interpolative` and `rnla.cur` against SciPy's.

    python -m benchmarks.skeletons                 # 4000 x 4000, both spectra, ranks 50 and 200
    python -m benchmarks.skeletons --full-qr       # column-pivoted QR of the whole matrix too, half a minute

Each is told with its Frobenius error over that of the best approximation.  SciPy's ID takes seconds, so it runs
once.  CUR approximates from both sides and has a larger error than an ID by nature; SciPy has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

import rnla
from benchmarks import cases, machine, timing

Array = np.ndarray[Any, Any]
SPECTRA, RANKS = ("slow", "fast"), (50, 200)


def _scipy_id(a: Array, k: int, randomized: bool) -> tuple[Array, Array]:
    from scipy.linalg import interpolative

    index, rest = interpolative.interp_decomp(a, k, rand=randomized, rng=np.random.default_rng(0))
    x = np.empty((k, a.shape[1]))
    x[:, index[:k]], x[:, index[k:]] = np.eye(k), rest
    return np.take(a, index[:k], axis=1), x


def _full_qr(a: Array, k: int) -> tuple[Array, Array]:
    pivots = scipy.linalg.qr(a, mode="r", pivoting=True, check_finite=False)[1][:k]
    panel = np.take(a, pivots, axis=1)
    return panel, np.linalg.lstsq(panel, a, rcond=None)[0]


def calls_for(a: Array, k: int, full: bool) -> dict[str, Callable[[], Any]]:
    """Return every contender."""
    calls: dict[str, Callable[[], Any]] = {
        "rnla.interpolative": lambda: rnla.interpolative(a, k, rng=0),
        "rnla.cur": lambda: rnla.cur(a, k, rng=0),
        "scipy interp_decomp": lambda: _scipy_id(a, k, True),
    }
    if full:
        calls["scipy qr, pivoted, whole"] = lambda: _full_qr(a, k)
    return calls


def excess(a: Array, out: Any, best: float) -> float:
    """Return the Frobenius error of a product of factors over the best one."""
    left, *rest = (np.asarray(part) for part in out)
    right = np.linalg.multi_dot(rest) if len(rest) > 1 else rest[0]
    return float(np.linalg.norm(a - left @ right)) / best


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run and save; return the results by case."""
    parser = timing.arguments(__doc__)
    parser.add_argument("--full-qr", action="store_true")
    parser.add_argument("--spectrum", choices=SPECTRA, action="append")
    parser.add_argument("--rank", type=int, action="append")
    given = parser.parse_args(arguments)
    n = 300 if given.quick else 4000
    results: dict[str, Any] = {}
    for spectrum in given.spectrum or SPECTRA:
        matrix = cases.dense(n, n, spectrum)
        for k in given.rank or ((20, 40) if given.quick else RANKS):
            with machine.held_threads(given.threads), rnla.config_context(kernels="compiled", threads=given.threads):
                found = timing.interleave(calls_for(matrix.A, k, given.full_qr), given.rounds, patience=1.5)
            rows = found.as_json(over="rnla.interpolative")
            for name, out in found.last.items():
                rows[name]["error over best"] = excess(matrix.A, out, matrix.optimum(k))
            name = f"{n}-{spectrum}-{k}"
            results[name] = rows
            print(f"{name}, {given.threads} threads\n{found.table(over='rnla.interpolative')}")
            print("\n".join(f"  {key:<28} error over best {row['error over best']:.4f}" for key, row in rows.items()))
    machine.save("skeletons", results, given.out, given.threads)
    return results


if __name__ == "__main__":
    main()

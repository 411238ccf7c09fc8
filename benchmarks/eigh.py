"""Leading eigenpairs of a symmetric matrix: `rnla.eigh` at its defaults against ARPACK, LOBPCG and scikit-learn.

    python -m benchmarks.eigh                      # 4000 x 4000, both spectra, ranks 10 and 50, definite
    python -m benchmarks.eigh --indefinite --threads 1

The error is the largest relative error of an eigenvalue, known from how the matrix is made; ARPACK's is at rounding,
so what counts is that ours is below 1e-10.  `--curve` adds block Lanczos at other depths.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse.linalg

import rnla
from benchmarks import cases, machine, timing

Array = np.ndarray[Any, Any]
SPECTRA, RANKS = ("slow", "fast"), (10, 50)


def peers(a: Array, k: int) -> dict[str, Callable[[], Any]]:
    """Return the calls of the other libraries that are installed."""
    start = np.random.default_rng(0).standard_normal(len(a))
    found: dict[str, Callable[[], Any]] = {"scipy eigsh": lambda: scipy.sparse.linalg.eigsh(a, k, v0=start)}
    try:
        from sklearn.utils.extmath import _randomized_eigsh
    except ImportError:
        return found
    found["sklearn _randomized_eigsh"] = lambda: _randomized_eigsh(a, k, selection="module", random_state=0)
    return found


def ours(a: Array, k: int, curve: bool) -> dict[str, Callable[[], Any]]:
    """Return our call at its defaults and, for the curve, at other depths."""
    calls: dict[str, Callable[[], Any]] = {"rnla": lambda: rnla.eigh(a, k, rng=0)}
    if curve:
        for width in (16, 24):
            for depth in range(max(4, -(-k // width) + 2), 16, 2):
                part = rnla.BlockLanczos(block_size=width, depth=depth)
                calls[f"rnla {width} x {depth}"] = lambda part=part: rnla.eigh(a, k, method=part, rng=0)  # type: ignore[misc]
    return calls


def value_error(values: Any, magnitudes: Array) -> float:
    """Return the largest relative error of moduli of eigenvalues, in order."""
    found = np.sort(np.abs(np.asarray(values)))[::-1]
    wanted = magnitudes[: len(found)]
    return float(np.max(np.abs(found - wanted) / wanted))


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run and save; return the results by case."""
    parser = timing.arguments(__doc__)
    parser.add_argument("--indefinite", action="store_true", help="every second eigenvalue is negative")
    parser.add_argument("--curve", action="store_true", help="block Lanczos at other depths too")
    parser.add_argument("--spectrum", choices=SPECTRA, action="append")
    parser.add_argument("--rank", type=int, action="append")
    given = parser.parse_args(arguments)
    n = 300 if given.quick else 4000
    warnings.simplefilter("ignore")
    results: dict[str, Any] = {}
    for spectrum in given.spectrum or SPECTRA:
        matrix = cases.symmetric(n, spectrum, definite=not given.indefinite)
        for k in given.rank or RANKS:
            with machine.held_threads(given.threads), rnla.config_context(kernels="compiled", threads=given.threads):
                calls = {**ours(matrix.A, k, given.curve), **peers(matrix.A, k)}
                found = timing.interleave(calls, given.rounds, patience=4.0)
            rows = found.as_json(over="rnla")
            for name, out in found.last.items():
                rows[name]["value error"] = value_error(out[0], matrix.s)
            name = f"{n}-{spectrum}-{k}-{'indefinite' if given.indefinite else 'definite'}"
            results[name] = rows
            print(f"{name}, {given.threads} threads\n{found.table(over='rnla')}")
            print(
                "\n".join(f"  {key:<28} largest error of a value {row['value error']:.1e}" for key, row in rows.items())
            )
    machine.save("eigh", results, given.out, given.threads)
    return results


if __name__ == "__main__":
    main()

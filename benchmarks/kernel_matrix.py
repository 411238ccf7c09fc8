"""A kernel matrix from few of its columns: `rnla.cholesky` beside simple pivoting and scikit-learn's Nystroem.

    python -m benchmarks.kernel_matrix [--rank 1000] [--rounds 5] [--threads 2] [--quick]

20000 points in 8 dimensions, some far out, a Gaussian kernel.  The error is what the approximation leaves of the
trace, as a share.  Simple is randomly pivoted Cholesky as its paper writes it, one pivot and one column at a time in
NumPy; Nystroem takes columns uniformly.  The floor is n r^2 flops of elimination and as many for the solves.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import kernel_points

Array = np.ndarray[Any, Any]


def simple(x: Array, gamma: float, rank: int) -> Array:
    """Return the factor of randomly pivoted Cholesky, one column at a time."""
    rng = np.random.default_rng(0)
    n = len(x)
    left, factor = np.ones(n), np.zeros((rank, n))
    squares = np.einsum("ij,ij->i", x, x)
    for i in range(rank):
        pivot = rng.choice(n, p=left / left.sum())
        column = np.exp(-gamma * np.maximum(squares + squares[pivot] - 2 * (x @ x[pivot]), 0))
        column -= factor[:i, pivot] @ factor[:i]
        factor[i] = column / math.sqrt(column[pivot])
        left = np.maximum(left - factor[i] ** 2, 0)
    return factor.T


def measure(rank: int, rounds: int, small: bool, threads: int) -> dict[str, Any]:
    """Return times and errors."""
    import rnla

    x, gamma = kernel_points(small)
    kernel = rnla.kernel_operator(rnla.GaussianKernel(1 / math.sqrt(2 * gamma)), x)
    calls: dict[str, Callable[[], Any]] = {
        "rnla.cholesky": lambda: rnla.cholesky(kernel, rank, rng=0),
        "simple": lambda: simple(x, gamma, rank),
    }
    calls["simple, one thread"] = timing.on_threads(calls["simple"], 1)
    if importlib.util.find_spec("sklearn"):
        from sklearn.kernel_approximation import Nystroem

        uniform = Nystroem(kernel="rbf", gamma=gamma, n_components=rank, random_state=0)
        calls["sklearn Nystroem"] = lambda: uniform.fit(x).transform(x)
    ceiling = machine.ceilings(np.float64, threads, small)
    found = timing.interleave(calls, rounds)
    rows = {}
    for name, out in found.last.items():
        factor = out.L if name.startswith("rnla") else out
        rows[name] = {
            "seconds": found.median(name), "error": 1 - float(np.linalg.norm(factor)) ** 2 / len(x),
            "ratio": found.ratio(name, "rnla.cholesky"), "rank": factor.shape[1],
        }  # fmt: skip
    floor = ceiling.floor(2.0 * len(x) * rank**2)
    return {"rows": rows, "floor": floor, "share": floor / found.median("rnla.cholesky"), "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--rank", action="append", type=int)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for rank in given.rank or ([30] if given.quick else [1000]):
            result = results[str(rank)] = measure(rank, given.rounds, given.quick, given.threads)
            print(f"rank {rank}, {given.threads} threads; share of the floor {result['share']:.2f}")
            for name, row in result["rows"].items():
                line = f"  {name:<22}{1e3 * row['seconds']:8.0f} ms   trace error {row['error']:.4f}"
                print(f"{line}   {row['ratio']:.2f}x", flush=True)
    print(f"written to {machine.save('kernel_matrix', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

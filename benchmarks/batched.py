"""One call on a stack of matrices, beside a loop written by hand over threads.

    python -m benchmarks.batched [--quick] [--rounds 5] [--threads N] [--shape 1000 200 100 10]

The loop is what a careful person writes: `ThreadPoolExecutor`, BLAS at one thread, ranges of items, and for each item
LAPACK's SVD, the Gram matrix's eigenvectors, or a randomized SVD with 1 to 5 power iterations in plain NumPy.  The
fastest of them whose error is not above ours (the largest over a sample of the items) is what the goal is stated
against: at most 1.3 times its time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import rnla
from benchmarks import machine, timing

CASES = [(1000, 200, 100, 10), (200, 500, 300, 20), (10000, 32, 32, 8)]
SAMPLE = 16
Array = np.ndarray[Any, Any]
One = Callable[[Array, int, np.random.Generator], tuple[Array, Array, Array]]


def full(a: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    del rng
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u[:, :k].copy(), s[:k].copy(), vh[:k].copy()


def gram(a: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    del rng
    x = np.linalg.eigh(a.T @ a)[1][:, : -k - 1 : -1]
    u, s, wh = np.linalg.svd(a @ x, full_matrices=False)
    return u, s, wh @ x.T


def randomized(power_iterations: int) -> One:
    """Return the textbook's randomized SVD: ten columns more, orthonormalized after every product."""

    def one(a: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        y = a @ rng.standard_normal((a.shape[1], min(k + 10, *a.shape)), dtype=np.float64).astype(a.dtype, copy=False)
        for _ in range(power_iterations):
            y = a @ np.linalg.qr(a.T @ np.linalg.qr(y)[0])[0]
        q = np.linalg.qr(y)[0]
        u, s, vh = np.linalg.svd(q.T @ a, full_matrices=False)
        return (q @ u)[:, :k], s[:k], vh[:k]

    return one


def loop(stack: Array, k: int, one: One, threads: int) -> tuple[Array, Array, Array]:
    """Factor every item by a loop over threads."""

    def work(part: int) -> list[tuple[Array, Array, Array]]:
        rng = np.random.default_rng(part)
        return [one(a, k, rng) for a in stack[part * len(stack) // parts : (part + 1) * len(stack) // parts]]

    parts = 8 * threads
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        done = [item for part in pool.map(work, range(parts)) for item in part]
    return tuple(np.stack([item[i] for item in done]) for i in range(3))  # type: ignore[return-value]


def excess(stack: Array, factors: Any) -> float:
    """Return how far the worst of some items is above the best error of its rank, as a share of it."""
    worst = -1.0
    for i in range(0, len(stack), max(1, len(stack) // SAMPLE)):
        a, (u, s, vh) = stack[i].astype(np.float64), (x[i].astype(np.float64) for x in factors)
        best = np.linalg.norm(np.linalg.svd(a, compute_uv=False)[len(s) :])
        worst = max(worst, float(np.linalg.norm(a - (u * s) @ vh) / best) - 1)
    return worst


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--shape", type=int, nargs=4, metavar=("ITEMS", "M", "N", "RANK"), help="one case only")
    given = parser.parse_args()
    cases = [tuple(given.shape)] if given.shape else CASES
    rows: dict[str, Any] = {}
    for dtype in ("float64", "float32"):
        for count, m, n, k in cases:
            items = count // 20 if given.quick else count
            stack = (np.random.default_rng(0).standard_normal((items, m, n)) * 0.9 ** np.arange(n)).astype(dtype)
            ones: dict[str, One] = {"full": full, "Gram": gram}
            ones |= {f"randomized, q = {q}": randomized(q) for q in (1, 2, 3, 5)}
            calls: dict[str, Callable[[], Any]] = {"rnla": lambda A=stack, k=k: tuple(rnla.svd(A, k, rng=0))}
            for name, one in ones.items():
                calls[name] = lambda A=stack, k=k, one=one: loop(A, k, one, given.threads)
            with rnla.config_context(threads=given.threads):
                found = timing.interleave(calls, given.rounds)
                method = type(rnla.svd(stack[:2], k, rng=0).report.plan.method).__name__
            errors = {name: excess(stack, factors) for name, factors in found.last.items()}
            rounding = 30 * float(np.finfo(dtype).eps)
            equal = [name for name in ones if errors[name] <= max(errors["rnla"] * 1.01, rounding)]
            rival = min(equal, key=found.median) if equal else None
            title = f"{items} x ({m} x {n}), rank {k}, {dtype}"
            print(f"\n{title}: {method}, {given.threads} threads")
            print(found.table(over="rnla"))
            print("excess  " + "  ".join(f"{name}: {error:.0e}" for name, error in errors.items()))
            row: dict[str, Any] = {"contenders": found.as_json(over="rnla"), "excess": errors, "method": method}
            if rival is not None:
                row |= {"rival": rival, "ratio": found.ratio("rnla", over=rival)}
                print(f"rnla takes {row['ratio']:.2f} of the fastest loop that is as good: {rival} (goal: 1.3)")
            rows[title] = row
    machine.save("batched", rows, given.out, given.threads)


if __name__ == "__main__":
    main()

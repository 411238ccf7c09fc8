"""What a call on a small matrix takes, beside scikit-learn's and beside the LAPACK calls that it cannot do without.

    python -m benchmarks.small [--quick] [--rounds 9] [--threads N]

For each shape and rank: `rnla.svd`, scikit-learn's `randomized_svd` at its default and `numpy.linalg.svd`, in turns,
with the error of each over the best of that rank.  "bare" is the arithmetic that our method does for such a matrix and
no more: the difference to it is what the front door takes (checks, plan, counts, certificate, report); goal: 150 µs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import rnla
from benchmarks import machine, timing
from rnla.rangefinder.leading import leading_eigh

CASES = [(20, 12, 3), (50, 30, 5), (200, 100, 5), (200, 100, 10), (200, 100, 20), (500, 300, 10), (500, 300, 20)]
Array = np.ndarray[Any, Any]


def bare(A: Array, k: int) -> tuple[Callable[[], Any], str]:
    """Return the arithmetic of the planned method without anything else, and its name; LAPACK's SVD where unknown."""
    method = rnla.plan(A, k).method
    short = A.shape[1]

    def full() -> Any:
        np.vdot(A, A)
        u, s, vh = np.linalg.svd(A, full_matrices=False)
        return u[:, :k].copy(), s[:k].copy(), vh[:k].copy()

    def gram() -> Any:
        np.vdot(A, A)
        x = leading_eigh(A.T @ A, k)[1]
        q, r = np.linalg.qr(A @ x)
        u, s, wh = np.linalg.svd(r)
        return q @ u, s, wh @ x.T

    if isinstance(method, rnla.GramEigh) and k < short:
        return gram, "Gram matrix"
    return full, "full SVD" if isinstance(method, rnla.FullSVD) else ""


def excess(A: Array, factors: Any, best: float) -> float:
    """Return how far the error is above the best of the rank, as a share of it."""
    u, s, vh = factors
    return float(np.linalg.norm(A - (u * s) @ vh)) / best - 1


def main() -> None:
    given = timing.arguments(__doc__, rounds=9).parse_args()
    try:
        from sklearn.utils.extmath import randomized_svd
    except ImportError:
        randomized_svd = None
    rows: dict[str, Any] = {}
    with machine.held_threads(given.threads):
        for m, n, k in CASES[:3] if given.quick else CASES:
            values = 0.9 ** np.arange(n)
            A = np.random.default_rng(0).standard_normal((m, n)) @ np.diag(values)
            best = float(np.linalg.norm(np.linalg.svd(A, compute_uv=False)[k:]))
            alone, name = bare(A, k)
            calls: dict[str, Callable[[], Any]] = {
                "rnla": lambda A=A, k=k: tuple(rnla.svd(A, k)),
                "lapack": lambda A=A: np.linalg.svd(A, full_matrices=False),
            }
            if name:
                calls["bare"] = alone
            if randomized_svd is not None:
                calls["sklearn"] = lambda A=A, k=k: randomized_svd(A, k)
            number = 20 if given.quick else max(30, 200_000_000 // (m * n * n * 20))
            limits = contextlib.ExitStack()
            before: dict[str, Callable[[], Any]] = dict.fromkeys(calls, limits.close)
            # One thread for what is compared with a call of ours, which holds BLAS at one.
            before["bare"] = lambda limits=limits: (limits.close(), limits.enter_context(threadpool_limits(1)))
            with limits:
                found = timing.interleave(calls, given.rounds, number=min(number, 300), warm=2, rest=0.0, before=before)
            print(f"\n{m} x {n}, rank {k}: {type(rnla.plan(A, k).method).__name__}")
            print(found.table(over="rnla", unit=1e-6))
            row = found.as_json(over="rnla")
            for who in ("rnla", "sklearn"):
                if who in calls:
                    row[who]["excess"] = excess(A, found.last[who], best)
            print("  ".join(f"{who}: excess {row[who]['excess']:.1e}" for who in ("rnla", "sklearn") if who in calls))
            if name:
                row["front door"] = found.median("rnla") - found.median("bare")
                print(f"front door: {1e6 * row['front door']:.0f} µs over its own arithmetic ({name})")
            rows[f"{m} x {n}, rank {k}"] = row
    machine.save("small", rows, given.out, given.threads)


if __name__ == "__main__":
    main()

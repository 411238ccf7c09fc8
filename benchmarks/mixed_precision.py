"""Is single precision worth it for the range of a matrix in double precision?

    python -m benchmarks.mixed_precision [--rounds 5] [--threads 2] [--quick]

What mixed precision could do at best, put together of parts: block Krylov on a copy in single precision, which is
made before the clock starts; its k + 10 leading right vectors, orthonormalized in double precision; one pass of A over
them in double precision; and the SVD of that image.  Singular values are then good to the square of the error of
the vectors, which themselves keep single precision, so that a rank alone can never ask for this: only a tolerance.

Each answer is judged by the Frobenius excess and the worst singular value, and the fastest of several depths whose
errors are both no larger than those of block Krylov in double precision stands against it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import Matrix, dense, judge

DEPTHS = (4, 5, 6, 7, 8)
EXTRA = 10  # columns of the last pass beyond the rank


def mixed(a: Any, single: Any, k: int, depth: int, threads: int) -> Callable[[], Any]:
    """Return the call that finds the range in single precision and makes the last pass in double precision."""
    import rnla
    from rnla._kernels import products
    from rnla.working import working

    method = rnla.BlockKrylov(block_size=32, depth=depth)

    def call() -> Any:
        rough = rnla.svd(single, k + EXTRA, method=method, rng=0)
        with working(np, a.dtype, 1e12, ("products", "panels")):
            basis = rnla.CholeskyQR2().factor(np.asarray(rough.Vh.T, dtype=a.dtype))[0]
            q, r = rnla.CholeskyQR2().factor(products.product(a, basis, a.dtype, threads))
            u, s, wh = np.linalg.svd(r)
            return q @ u[:, :k], s[:k], wh[:k] @ basis.T

    return call


def measure(matrix: Matrix, k: int, rounds: int, threads: int) -> dict[str, Any]:
    """Return, for several depths in double precision, the time of the best mixed run that is as good."""
    import rnla

    single = matrix.A.astype(np.float32)
    calls: dict[str, Callable[[], Any]] = {}
    for depth in DEPTHS:
        part = rnla.BlockKrylov(block_size=24, depth=depth)
        calls[f"double, depth {depth}"] = lambda part=part: rnla.svd(matrix.A, k, method=part, rng=0)
        calls[f"mixed, depth {depth}"] = mixed(matrix.A, single, k, depth, threads)
    with rnla.config_context(kernels="compiled", threads=threads):
        found = timing.interleave(calls, rounds)
    errors = {name: judge(matrix, k, *(tuple(out)[:3])) for name, out in found.last.items()}
    rows = {}
    for depth in DEPTHS:
        name = f"double, depth {depth}"
        good = [
            other for other in calls
            if other.startswith("mixed") and all(e <= f for e, f in zip(errors[other], errors[name], strict=True))
        ]  # fmt: skip
        best = min(good, key=found.median, default=None)
        rows[name] = {
            "seconds": found.median(name), "errors": errors[name], "by": best,
            "mixed": None if best is None else found.median(best),
            "gain": None if best is None else found.ratio(name, best),
        }  # fmt: skip
    return {"rows": rows, "errors": errors, "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    cases = [(400, 300, 8)] if given.quick else [(4000, 4000, 50), (20_000, 2000, 50)]
    results: dict[str, Any] = {}
    for m, n, k in cases:
        label = f"{m} x {n}, 1/i, rank {k}"
        result = results[label] = measure(dense(m, n, "slow"), k, given.rounds, given.threads)
        print(f"{label}, {given.threads} threads")
        for name, row in result["rows"].items():
            line = f"  {name}  {1e3 * row['seconds']:8.1f} ms   ({row['errors'][0]:.1e} {row['errors'][1]:.1e})"
            beside = "no mixed run is as good" if row["by"] is None else f"{row['by']}: {row['gain']:.2f}x faster"
            print(f"{line}   {beside}", flush=True)
    print(f"written to {machine.save('mixed_precision', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

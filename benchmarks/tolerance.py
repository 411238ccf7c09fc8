"""What it costs not to know the rank: `rnla.svd(A, tol=...)` beside the run that was told it.

    python -m benchmarks.tolerance [--spectrum fast] [--tol 1e-1] [--rounds 5] [--threads 2] [--quick]

4000 x 4000 with known singular values, so that the smallest rank that meets a tolerance is known.  "Told" is the
fastest of our settings that meets the tolerance with the rank that the tolerance led to: the default, block Krylov
and subspace iteration.  The peer is `scipy.linalg.interpolative.interp_decomp(A, eps)`, whose tolerance is of the
spectral norm; it runs once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing
from benchmarks.cases import Matrix, dense

TOLERANCES = {"fast": (1e-1, 1e-3), "slow": (1e-1,)}


def least_rank(matrix: Matrix, tol: float) -> int:
    """Return the smallest rank that meets a tolerance."""
    tails = np.sqrt(np.cumsum((matrix.s**2)[::-1])[::-1])
    return int(np.count_nonzero(tails > tol * matrix.norm))


def relative_error(matrix: Matrix, U: Any, s: Any, Vh: Any) -> float:
    return float(np.linalg.norm(matrix.A - (U * s) @ Vh)) / matrix.norm


def told(a: np.ndarray[Any, Any], k: int) -> dict[str, Callable[[], Any]]:
    """Return our settings with the rank given."""
    import rnla

    methods: dict[str, Any] = {}
    for block in (16, 24, 32, 48):
        for depth in range(2, 13):
            if k < block * depth <= 3 * k + 100:
                methods[f"BlockKrylov b={block} d={depth}"] = rnla.BlockKrylov(block_size=block, depth=depth)
    for power in (0, 1, 2, 3):
        methods[f"SubspaceIteration q={power}"] = rnla.SubspaceIteration(power_iterations=power, oversampling=10)
    calls: dict[str, Callable[[], Any]] = {
        name: lambda m=method: rnla.svd(a, k, method=m, rng=0) for name, method in methods.items()
    }
    return {"rnla.svd(A, k)": lambda: rnla.svd(a, k, rng=0), **calls}


def measure(spectrum: str, tol: float, rounds: int, small: bool) -> dict[str, Any]:
    """Return ranks, errors and times of one tolerance."""
    import rnla

    n = 300 if small else 4000
    matrix = dense(n, n, spectrum)
    a = matrix.A
    first = rnla.svd(a, tol=tol, rng=0)
    calls = told(a, first.rank)
    chosen = timing.fastest(calls, lambda out: relative_error(matrix, *out) <= tol, runs=1 if small else 2)
    contenders: dict[str, Callable[[], Any]] = {"tolerance": lambda: rnla.svd(a, tol=tol, rng=0)}
    if chosen:
        contenders["told"] = calls[chosen]
    found = timing.interleave(contenders, rounds)
    from scipy.linalg import interpolative

    theirs = timing.interleave(
        {"peer": lambda: interpolative.interp_decomp(a, tol, rng=np.random.default_rng(0))}, 0, patience=-1.0
    )
    return {
        "optimal rank": least_rank(matrix, tol), "rank": first.rank, "peer rank": int(theirs.last["peer"][0]),
        "error": relative_error(matrix, *first), "tol": tol, "told by": chosen,
        "seconds": found.median("tolerance"), "told seconds": found.median("told") if chosen else None,
        "over told": found.ratio("tolerance", "told") if chosen else None,
        "peer over ours": theirs.median("peer") / found.median("tolerance"), "times": found.as_json(),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--spectrum", action="append", choices=list(TOLERANCES))
    parser.add_argument("--tol", action="append", type=float)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for spectrum in given.spectrum or (["fast"] if given.quick else list(TOLERANCES)):
            for tol in given.tol or TOLERANCES[spectrum][: 1 if given.quick else None]:
                found = results[f"{spectrum}-{tol:g}"] = measure(spectrum, tol, given.rounds, given.quick)
                ranks = f"rank {found['rank']} (optimal {found['optimal rank']}, peer's {found['peer rank']})"
                print(f"{spectrum}, tol {tol:g}: {ranks}, error {found['error']:.2e}")
                print(f"  {1e3 * found['seconds']:.0f} ms; told the rank: {found['told by']}")
                if found["told by"]:
                    print(f"  {1e3 * found['told seconds']:.0f} ms; ratio {found['over told']:.2f}")
                print(f"  interp_decomp(A, eps) takes {found['peer over ours']:.1f} times as long (once)", flush=True)
    print(f"written to {machine.save('tolerance', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

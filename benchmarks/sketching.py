"""Sketches S A of a dense matrix: sparse signs and the count sketch beside Gaussian, SciPy and clarkson_woodruff.

    python -m benchmarks.sketching [--rounds 5] [--threads 2] [--quick]

The making of S is inside every time.  The floor is one reading of A.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from benchmarks import machine, timing

Array = np.ndarray[Any, Any]


def measure(m: int, n: int, d: int, rounds: int, threads: int, small: bool) -> dict[str, Any]:
    """Return times of one shape."""
    import rnla
    from rnla.orth.panel_sketch import panel_sketch
    from rnla.rng import Key
    from rnla.working import working

    a = np.random.default_rng(0).standard_normal((m, n))

    def ours(sketch: Any) -> Callable[[], Any]:
        def call() -> Any:
            with working(np, a.dtype):
                return panel_sketch(a, sketch, d, Key(0))

        return call

    def gaussian() -> Array:
        found: Array = np.random.default_rng(0).standard_normal((d, m)) @ a / math.sqrt(d)
        return found

    def by_scipy() -> Array:
        omega = rnla.SparseSign(8).sparse_tile(0, m, m, d, Key(0), dtype=a.dtype)
        found: Array = omega.T.tocsr() @ a / math.sqrt(d)
        return found

    calls: dict[str, Callable[[], Any]] = {
        "SparseSign(8)": ours(rnla.SparseSign(8)),
        "SparseStack(8)": ours(rnla.SparseStack(8)),
        "CountSketch": ours(rnla.CountSketch()),
        "Gaussian, numpy": gaussian,
        "8 signs, scipy.sparse": by_scipy,
        "clarkson_woodruff": lambda: scipy.linalg.clarkson_woodruff_transform(a, d, rng=np.random.default_rng(0)),
    }
    found = timing.interleave(calls, rounds)
    floor = machine.ceilings(np.float64, threads, small).floor(0.0, a.nbytes)
    rows = {
        name: {
            "seconds": found.median(name), "over SparseSign(8)": found.ratio(name, "SparseSign(8)"),
            "over CountSketch": found.ratio(name, "CountSketch"), "share": floor / found.median(name),
        }
        for name in calls
    }  # fmt: skip
    return {"rows": rows, "floor": floor, "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    results: dict[str, Any] = {}
    shapes = [(100_000, 500, 2000), (100_000, 500, 200), (20_000, 2000, 210), (20_000, 2000, 60)]
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for m, n, d in [(3000, 40, 60)] if given.quick else shapes:
            result = results[f"{m} x {n}, d = {d}"] = measure(m, n, d, given.rounds, given.threads, given.quick)
            print(f"{m} x {n}, d = {d}, {given.threads} threads; one reading {1e3 * result['floor']:.1f} ms")
            for name, row in result["rows"].items():
                line = f"  {name:<24}{1e3 * row['seconds']:9.1f} ms   {row['over SparseSign(8)']:7.2f}x"
                print(f"{line} SparseSign   {row['over CountSketch']:7.2f}x CountSketch", flush=True)
    print(f"written to {machine.save('sketching', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

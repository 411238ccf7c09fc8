"""The root of a matrix after a low-rank change: `rnla.sqrtm_update` beside computing it again.

    python -m benchmarks.roots [--question update] [--rounds 7] [--threads 2] [--quick]

A is diagonal with its eigenvalues in geometric progression from 1 to 1 / condition, D normal of norm 0.3 (for a
downdate, such that lambda_max(D^H A^-1 D) = 0.9): generated.  Questions:

update    one change, n = 1500 and k = 5: the update from a diagonal root and from a dense one (which costs an eigh),
          beside eigh of the changed matrix by NumPy and SciPy, scipy.linalg.sqrtm, and what Woodbury's formula alone
          can do: B^{1/2} x for one vector x by quadrature of a contour integral, 16 shifted solves with B each time
          [hale2008].  Peers take the better of one thread and all.
error     backward error relative to norm(B), and to norm(D D^H), against the dense B for conditions 1e2 to 1e8, both
          signs, both precisions; the forward error beside its bound.
scaling   a diagonal root from n = 1e3 to 1e6: seconds, steps, peak memory over n k J numbers, and the slope.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing

Array = np.ndarray[Any, Any]
QUESTIONS = ("update", "error", "scaling")


def problem(n: int, k: int, condition: float, sign: int, dtype: Any = np.float64) -> tuple[Array, Array]:
    """Return the diagonal of A^{1/2}, and D."""
    h = np.sqrt(np.geomspace(1, 1 / condition, n))
    D = np.random.default_rng(0).standard_normal((n, k))
    D *= 0.3 / np.linalg.norm(D, 2) if sign > 0 else math.sqrt(0.9) / np.linalg.norm(D / h[:, None], 2)
    return h.astype(dtype), D.astype(dtype)


def changed(h: Array, D: Array, sign: int) -> Array:
    """Return B, in double precision."""
    return np.diag(h.astype(float) ** 2) + sign * D.astype(float) @ D.astype(float).T


def recomputed(B: Array, eigh: Callable[[Array], Any]) -> Array:
    """Return the root of B from its eigenvalues."""
    values, vectors = eigh(B)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def by_woodbury(h: Array, D: Array, x: Array, nodes: int = 16) -> Array:
    """Return B^{1/2} x from solves with B + t^2 I alone: B (2/pi) int_0^inf (B + t^2 I)^{-1} x dt [hale2008].

    The substitution t = lo sn(u | k^2) / cn(u | k^2) makes the trapezoidal rule converge geometrically.
    """
    from scipy.special import ellipj, ellipkm1

    lo = float(h.min())
    hi = math.sqrt(float(h.max()) ** 2 + float(np.linalg.norm(D, 2)) ** 2)
    period = float(ellipkm1((lo / hi) ** 2))
    sn, cn, dn, _ = ellipj((np.arange(nodes) + 0.5) * period / nodes, 1 - (lo / hi) ** 2)
    total = np.zeros_like(x)
    for t, weight in zip(lo * sn / cn, lo * dn / cn**2, strict=True):
        d = 1 / (h * h + t * t)
        y = D * d[:, None]
        z = d * x
        total += weight * (z - y @ np.linalg.solve(np.eye(D.shape[1]) + D.T @ y, D.T @ z))
    total *= 2 * period / (math.pi * nodes)
    return h * h * total + D @ (D.T @ total)


def update(rounds: int, small: bool, threads: int) -> dict[str, Any]:
    """Return times and errors of one change."""
    import scipy.linalg

    import rnla

    n, k = (200, 3) if small else (1500, 5)
    h, D = problem(n, k, 1e4, 1)
    B = changed(h, D, 1)
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((n, n)))[0]
    A_half, turned = (basis * h) @ basis.T, basis @ D
    A_half = (A_half + A_half.T) / 2
    x = np.random.default_rng(2).standard_normal(n)
    calls: dict[str, Callable[[], Any]] = {
        "rnla, diagonal root": lambda: rnla.sqrtm_update(h, D),
        "rnla, inverse root": lambda: rnla.sqrtm_update(h, D, power=-0.5),
        "rnla, fourth root": lambda: rnla.sqrtm_update(h, D, power=0.25),
        "rnla, dense root": lambda: rnla.sqrtm_update(A_half, turned),
        "numpy eigh": lambda: recomputed(B, np.linalg.eigh),
        "scipy eigh": lambda: recomputed(B, lambda b: scipy.linalg.eigh(b, driver="evd")),
        "scipy sqrtm": lambda: scipy.linalg.sqrtm(B),
        "Woodbury, one vector": lambda: by_woodbury(h, D, x),
    }
    for name in ("numpy eigh", "scipy eigh", "scipy sqrtm"):
        calls[f"{name}, one thread"] = timing.on_threads(calls[name], 1)
    found = timing.interleave(calls, rounds)
    size = np.linalg.norm(B, 2)
    rows: dict[str, Any] = {}
    for name, out in found.last.items():
        error = None
        if name in ("rnla, diagonal root", "rnla, dense root"):
            S = np.asarray(out @ np.eye(n))
            error = float(np.linalg.norm(S @ S - (B if "diagonal" in name else basis @ B @ basis.T), 2) / size)
        elif isinstance(out, np.ndarray) and out.ndim == 2:
            error = float(np.linalg.norm(out @ out - B, 2) / size)
        elif isinstance(out, np.ndarray):
            exact = recomputed(B, np.linalg.eigh) @ x
            error = float(np.linalg.norm(out - exact) / np.linalg.norm(exact))
        rows[name] = {
            "seconds": found.median(name), "ratio": found.ratio(name, "rnla, diagonal root"), "error": error,
            "rank": getattr(out, "rank", None), "steps": getattr(out, "steps", None),
        }  # fmt: skip
    return {"n": n, "k": k, "threads": threads, "rows": rows, "times": found.as_json()}


def error(small: bool) -> list[dict[str, Any]]:
    """Return the errors for each condition, sign and precision."""
    import rnla

    rows = []
    for dtype in (np.float64, np.float32):
        for condition in (1e2, 1e4, 1e6, 1e8):
            for sign in (1, -1):
                h, D = problem(120 if small else 500, 5, condition, sign, dtype)
                out = rnla.sqrtm_update(h, D, sign=sign, on_failure="return")
                B = changed(h, D, sign)
                V = np.asarray(out.V, dtype=float)
                S = np.diag(h.astype(float)) + (V * np.asarray(out.w, dtype=float)) @ V.T
                gap = float(np.linalg.norm(S @ S - B, 2))
                forward = float(np.linalg.norm(S - recomputed(B, np.linalg.eigh), 2))
                rows.append({
                    "dtype": np.dtype(dtype).name, "condition": condition, "sign": sign, "steps": out.steps,
                    "rank": out.rank, "claimed": out.error.value, "backward": gap / float(np.linalg.norm(B, 2)),
                    "of_change": gap / float(np.linalg.norm(D.astype(float), 2)) ** 2, "forward": forward,
                    "forward_bound": out.forward_bound, "status": out.status.name,
                })  # fmt: skip
    return rows


def scaling(rounds: int, small: bool) -> dict[str, Any]:
    """Return seconds, steps and memory for each n, and the slope of seconds."""
    import rnla

    sizes, k = ([500, 1000, 2000] if small else [10**3, 10**4, 10**5, 10**6]), 5
    rows = []
    for n in sizes:
        h, D = problem(n, k, 1e4, 1)
        found = timing.interleave({"rnla": lambda h=h, D=D: rnla.sqrtm_update(h, D)}, rounds)
        out = found.last["rnla"]
        tracemalloc.start()
        rnla.sqrtm_update(h, D)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        columns = k * (out.steps + 1)
        floor = 6.0 * n * columns / 2 * out.steps * h.itemsize / machine.ceilings(np.float64, 1, small).bandwidth
        rows.append({
            "n": n, "seconds": found.median("rnla"), "steps": out.steps, "rank": out.rank, "floor": floor,
            "peak_over_nkJ": peak / (n * columns * h.itemsize),
        })  # fmt: skip
    logs = np.log([[row["n"], row["seconds"]] for row in rows])
    slope = float(np.polyfit(logs[-3:, 0], logs[-3:, 1], 1)[0])
    return {"rows": rows, "slope": slope}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = timing.arguments(__doc__)
    parser.add_argument("--question", action="append", choices=QUESTIONS)
    given = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for question in given.question or QUESTIONS:
            if question == "update":
                found = results["update"] = update(given.rounds, given.quick, given.threads)
                print(f"one change of {found['k']} columns, n = {found['n']}")
                for name, row in found["rows"].items():
                    told = "" if row["error"] is None else f"   error {row['error']:.1e}"
                    print(f"  {name:<24}{1e3 * row['seconds']:9.1f} ms {row['ratio']:7.2f}x{told}", flush=True)
            elif question == "error":
                results["error"] = error(given.quick)
                for row in results["error"]:
                    print(
                        f"  {row['dtype']} condition {row['condition']:.0e} sign {row['sign']:+d}: {row['steps']} "
                        f"steps, rank {row['rank']}, backward {row['backward']:.1e} (claimed {row['claimed']:.1e}; "
                        f"{row['of_change']:.1e} of the change), forward {row['forward']:.1e} <= "
                        f"{row['forward_bound']:.1e}, {row['status']}", flush=True,
                    )  # fmt: skip
            else:
                found = results["scaling"] = scaling(min(given.rounds, 5), given.quick)
                for row in found["rows"]:
                    print(
                        f"  n = {row['n']:>8}: {1e3 * row['seconds']:9.1f} ms, {row['steps']} steps, memory "
                        f"{row['peak_over_nkJ']:.2f} n k J numbers, share of the floor "
                        f"{row['floor'] / row['seconds']:.2f}", flush=True,
                    )  # fmt: skip
                print(f"  slope {found['slope']:.2f}", flush=True)
    print(f"written to {machine.save('roots', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

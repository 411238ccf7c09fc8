"""Low rank and outliers: the methods of `rnla.robust_pca` beside AccAltProj in NumPy and tensorly's pursuit.

    python -m benchmarks.robust_pca [--size 2000] [--rank 5] [--outliers 0.3] [--rounds 7] [--threads 2] [--quick]

The matrix is the papers' model: L = A B with normal factors, outliers on random entries, uniform within the mean
modulus of L.  All stop at a residual of 1e-7.  "accaltproj, NumPy" is the program of its authors with randomized SVDs
to start from, on BLAS with all threads.  tensorly takes a full SVD at every step and joins up to 500 rows.  The
kernels are timed alone as well: a cross, and all of the matrix with its two products.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing

Array = np.ndarray[Any, Any]
TOL = 1e-7


def model(size: int, rank: int, share: float) -> tuple[Array, Array]:
    """Return D and L."""
    rng = np.random.default_rng(0)
    low = rng.standard_normal((size, rank)) @ rng.standard_normal((rank, size))
    bound = np.abs(low).mean()
    return low + np.where(rng.random(low.shape) < share, rng.uniform(-bound, bound, low.shape), 0.0), low


def in_numpy(d: Array, rank: int, decay: float = 0.7, iterations: int = 100) -> Array:
    """Return L by accelerated alternating projections, as their program goes, with randomized SVDs at the start."""
    m, n = d.shape
    rng, beta = np.random.default_rng(0), 1 / (2 * (m * n) ** 0.25)

    def leading(a: Array, k: int) -> tuple[Array, Array, Array]:
        y = a @ rng.standard_normal((n, k + 10))
        for _ in range(2):
            y = a @ (a.T @ np.linalg.qr(y)[0])
        q = np.linalg.qr(y)[0]
        u, s, vh = np.linalg.svd(q.T @ a, full_matrices=False)
        return (q @ u)[:, :k], s[:k], vh[:k].T

    top = leading(d, 1)[1][0]
    u, s, v = leading(d - np.where(np.abs(d) >= 4 * beta * top, d, 0), rank)
    low = (u * s) @ v.T
    rest = d - low
    sparse, norm = np.where(np.abs(rest) >= beta * s[0], rest, 0), np.linalg.norm(d)
    for t in range(1, iterations + 1):
        z = d - sparse
        zv, zu = z @ v, z.T @ u
        core = u.T @ zv
        q1, r1 = np.linalg.qr(zu - v @ core.T)
        q2, r2 = np.linalg.qr(zv - u @ core)
        a, s, bh = np.linalg.svd(np.block([[core, r1.T], [r2, np.zeros((rank, rank))]]))
        u, v = np.hstack([u, q2]) @ a[:, :rank], np.hstack([v, q1]) @ bh[:rank].T
        low = (u * s[:rank]) @ v.T
        rest = d - low
        sparse = np.where(np.abs(rest) >= beta * (s[rank] + decay**t * s[0]), rest, 0)
        if np.linalg.norm(rest - sparse) < TOL * norm:
            break
    return low


def methods(size: int, rank: int, share: float, rounds: int) -> dict[str, Any]:
    """Return times and errors of the methods."""
    import rnla

    d, low = model(size, rank, share)
    calls: dict[str, Callable[[], Any]] = {
        f"rnla {name}": lambda name=name: rnla.robust_pca(d, rank, method=name, rng=0, on_failure="return")
        for name in ("riecur", "ircur", "accaltproj")
    }
    calls["accaltproj, NumPy"] = lambda: in_numpy(d, rank)
    if size <= 500:
        calls["rnla pcp"] = lambda: rnla.robust_pca(d, method="pcp", rng=0, on_failure="return")
        if importlib.util.find_spec("tensorly"):
            from tensorly.decomposition import robust_pca

            calls["tensorly"] = lambda: robust_pca(d, tol=TOL, n_iter_max=200, learning_rate=1.2, verbose=False)[0]
    found = timing.interleave(calls, rounds)
    print(found.table(over="rnla riecur"))
    errors = {}
    for name, out in found.last.items():
        made = out.L.to_array() if hasattr(out, "held_out") else out
        errors[name] = float(np.linalg.norm(made - low) / np.linalg.norm(low))
        print(f"  {name:<20} relative error of L {errors[name]:.1e}")
    return {"times": found.as_json(over="rnla riecur"), "errors": errors}


def kernels(size: int, rank: int, rounds: int, threads: int) -> dict[str, Any]:
    """Return times of the kernels and of their plain twins."""
    from rnla._kernels import compiled
    from rnla._kernels.thresholding import cleaned, cleaned_products

    d, _ = model(size, rank, 0.3)
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((size, rank)), rng.standard_normal((rank, size))
    chosen = np.sort(rng.permutation(size)[: max(1, size // 17)])
    tasks: dict[str, Callable[[], Any]] = {
        "rows": lambda: cleaned(d, chosen, None, left[chosen], right, 1.0, threads),
        "columns": lambda: cleaned(d, None, chosen, left, right[:, chosen], 1.0, threads),
        "all, with products": lambda: cleaned_products(d, left, right, 1.0, left, right.T, None, threads),
    }

    def under(setting: str, task: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            with compiled.using(setting, ["thresholding"], np.dtype(float)):
                return task()

        return call

    out = {}
    for what, task in tasks.items():
        found = timing.interleave({way: under(way, task) for way in ("compiled", "plain")}, rounds)
        print(f"{what}:\n{found.table(over='compiled')}")
        out[what] = found.as_json(over="compiled")
    return out


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    import rnla

    parser = timing.arguments(__doc__)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--rank", type=int, default=5)
    parser.add_argument("--outliers", type=float, default=0.3)
    given = parser.parse_args(arguments)
    size = 300 if given.quick else given.size
    with machine.held_threads(given.threads), rnla.config_context(kernels="compiled", threads=given.threads):
        found = {"methods": methods(size, given.rank, given.outliers, given.rounds)}
        found["kernels"] = kernels(size, given.rank, given.rounds, given.threads)
    print(f"written to {machine.save('robust_pca', found, given.out, given.threads)}")
    return found


if __name__ == "__main__":
    timing.tuned()
    main()

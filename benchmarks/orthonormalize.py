"""Orthonormal columns of a panel: CholeskyQR2 and randomized Cholesky QR beside numpy, scipy and torch.

    python -m benchmarks.orthonormalize [--rounds 5] [--threads 2] [--quick]

A normal panel, and panels of condition 1e12 and 1e15 that CholeskyQR2 must leave to its fallback.  `orthonormality` is
the spectral norm of Q^H Q - I, `orthonormality_fro` its Frobenius norm, from products of 250 rows that are summed in
extended precision: a plain product of 1e5 rows is itself off by as much as a good Q.  The floor counts the 8 p k^2
flops of CholeskyQR2 by halves: what is zero or known by symmetry is left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from benchmarks import machine, timing
from benchmarks.cases import orthogonal_mix

Array = np.ndarray[Any, Any]


def off_by(q: Array) -> tuple[float, float]:
    """Return the spectral and the Frobenius norm of Q^H Q - I."""
    total = np.zeros((q.shape[1], q.shape[1]), dtype=np.longdouble)
    for start in range(0, len(q), 250):
        total += q[start : start + 250].T @ q[start : start + 250]
    rest = (total - np.eye(len(total))).astype(np.float64)
    return float(np.linalg.norm(rest, 2)), float(np.linalg.norm(rest))


def peers(x: Array) -> dict[str, Callable[[], Any]]:
    """Return the peers' calls."""
    calls: dict[str, Callable[[], Any]] = {
        "numpy.linalg.qr": lambda: np.linalg.qr(x),
        "scipy.linalg.qr": lambda: scipy.linalg.qr(x, mode="economic", check_finite=False),
    }
    if importlib.util.find_spec("torch"):
        import torch

        tensor = torch.from_numpy(x)
        calls["torch.linalg.qr"] = lambda: tuple(part.numpy() for part in torch.linalg.qr(tensor))
    return calls


def measure(x: Array, rounds: int, threads: int, small: bool) -> dict[str, Any]:
    """Return times and how orthonormal the columns are."""
    import rnla
    from rnla.working import working

    def ours(part: Any) -> Callable[[], Any]:
        def call() -> Any:
            with rnla.config_context(kernels="auto"), working(np, x.dtype):
                return part.factor(x)

        return call

    calls = {"CholeskyQR2": ours(rnla.CholeskyQR2()), "RandCholeskyQR": ours(rnla.RandCholeskyQR()), **peers(x)}
    found = timing.interleave(calls, rounds)
    rows = {}
    for name, (q, _) in found.last.items():
        spectral, frobenius = off_by(q)
        rows[name] = {
            "seconds": found.median(name), "ratio": found.ratio(name, "CholeskyQR2"),
            "orthonormality": spectral, "orthonormality_fro": frobenius,
        }  # fmt: skip
    floor = machine.ceilings(np.float64, threads, small).floor(4.0 * x.shape[0] * x.shape[1] ** 2)
    return {"rows": rows, "floor": floor, "share": floor / found.median("CholeskyQR2"), "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    results: dict[str, Any] = {}
    shapes = [(2000, 12)] if given.quick else [(100_000, 210), (100_000, 24), (4000, 24)]
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for m, k in shapes:
            panels = {"normal": np.random.default_rng(0).standard_normal((m, k))}
            for exponent in (12, 15):
                panels[f"condition 1e{exponent}"] = orthogonal_mix(np.geomspace(1, 10.0**-exponent, k), m, k)
            for name, x in panels.items():
                result = results[f"{m} x {k}, {name}"] = measure(x, given.rounds, given.threads, given.quick)
                print(f"{m} x {k}, {name}, {given.threads} threads; share of the floor {result['share']:.2f}")
                for who, row in result["rows"].items():
                    line = f"  {who:<20}{1e3 * row['seconds']:9.2f} ms   off by {row['orthonormality']:.1e}"
                    line += f" ({row['orthonormality_fro']:.1e} Frobenius)"
                    print(f"{line}   {row['ratio']:.2f}x", flush=True)
    print(f"written to {machine.save('orthonormalize', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

"""A block joins an orthonormal basis: Gram-Schmidt in four sweeps beside separate products and CholeskyQR2.

    python -m benchmarks.gram_schmidt [--rounds 5] [--threads 2] [--quick]

The basis lies in a buffer with room, as a growing one does.  "near" sweeps project on the last two blocks alone at
first, as for a block of a Krylov sequence.  The floor is four readings of the basis; how far [B Q] is from orthonormal
is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine, timing

Array = np.ndarray[Any, Any]


def measure(m: int, columns: int, block: int, rounds: int, threads: int, small: bool) -> dict[str, Any]:
    """Return times and orthogonality for one size of the basis."""
    import rnla
    from rnla.orth import CholeskyQR2
    from rnla.orth.extend import orthonormalize_against
    from rnla.orth.gram_schmidt import added_by
    from rnla.rng import Key
    from rnla.working import working

    rng = np.random.default_rng(0)
    room = np.zeros((m, columns + 4 * block))
    room[:, :columns] = np.linalg.qr(rng.standard_normal((m, columns)))[0]
    basis = room[:, :columns]
    last = basis[:, -2 * block :]
    x = rng.standard_normal((m, block)) / m**0.5 + last @ rng.standard_normal((last.shape[1], block))
    x -= basis[:, : -2 * block] @ (basis[:, : -2 * block].T @ x)

    def sweeps(setting: str, near: int | None) -> Callable[[], Any]:
        def call() -> Any:
            with rnla.config_context(kernels=setting), working(np, x.dtype):
                added = added_by(basis, x, near, 1e-10)
                assert added is not None
                return added.orthogonal()

        return call

    def separate(setting: str) -> Callable[[], Any]:
        def call() -> Any:
            with rnla.config_context(kernels=setting), working(np, x.dtype):
                return orthonormalize_against(basis, x, CholeskyQR2(), Key(0))

        return call

    calls = {
        "sweeps, near": sweeps("auto", 2 * block), "sweeps": sweeps("auto", None), "separate": separate("auto"),
        "sweeps, plain": sweeps("plain", None), "separate, plain": separate("plain"),
    }  # fmt: skip
    found = timing.interleave(calls, rounds)
    rows = {}
    for name, q in found.last.items():
        both = np.concatenate([basis, q], axis=1)
        rows[name] = {
            "seconds": found.median(name), "ratio": found.ratio(name, "sweeps, near"),
            "orthonormality": float(np.linalg.norm(both.T @ both - np.eye(both.shape[1]))),
        }  # fmt: skip
    floor = machine.ceilings(np.float64, threads, small).floor(0.0, 4.0 * basis.nbytes)
    return {"rows": rows, "floor": floor, "times": found.as_json()}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    given = timing.arguments(__doc__).parse_args(arguments)
    results: dict[str, Any] = {}
    sizes = [(3000, 16, 4)] if given.quick else [(100_000, 24, 8), (100_000, 56, 8), (100_000, 80, 16)]
    with machine.held_threads(None if given.threads >= machine.cpus() else given.threads):
        for m, columns, block in sizes:
            result = measure(m, columns, block, given.rounds, given.threads, given.quick)
            results[f"{block} columns to {m} x {columns}"] = result
            print(f"{block} columns to {m} x {columns}, {given.threads} threads; floor {1e3 * result['floor']:.1f} ms")
            for name, row in result["rows"].items():
                line = f"  {name:<18}{1e3 * row['seconds']:9.2f} ms   off by {row['orthonormality']:.1e}"
                print(f"{line}   {row['ratio']:.2f}x", flush=True)
    print(f"written to {machine.save('gram_schmidt', results, given.out, given.threads)}")
    return results


if __name__ == "__main__":
    timing.tuned()
    main()

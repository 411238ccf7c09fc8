"""How far each factorization is from the best of its rank, over the twelve spectra, at the library's defaults.

    python -m benchmarks.quality [--small] [--rank 20]

Each figure is error / optimum, the optimum by Eckart and Young with 50 eps norm(A) added on both sides of the
quotient; Frobenius and spectral norm.  Interpolative and CUR, which may not beat their own class, are also given
against the strong rank-revealing factorization of Gu and Eisenstat at the same rank.  No time is measured.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import rnla
from rnla.testing import SPECTRA, haar, spectrum

Array = np.ndarray[Any, Any]


def _back(out: Array, pivots: Array) -> Array:
    whole = np.empty_like(out)
    whole[:, pivots] = out
    return whole


GENERAL: dict[str, Callable[[Array, int], Array]] = {
    "svd": lambda A, k: rnla.svd(A, k, rng=0).as_operator().to_array(),
    "svd, iterated": lambda A, k: rnla.svd(A, k, method=rnla.SubspaceIteration(), rng=0).as_operator().to_array(),
    "qr": lambda A, k: (lambda r: _back(r.Q @ r.R, r.pivots))(rnla.qr(A, k, rng=0)),
    "lu": lambda A, k: rnla.lu(A, k, rng=0).as_operator().to_array(),
    "interpolative": lambda A, k: rnla.interpolative(A, k, rng=0).as_operator().to_array(),
    "cur": lambda A, k: (lambda r: r.C @ r.U @ r.R)(rnla.cur(A, k, rng=0)),
}
HERMITIAN: dict[str, Callable[[Array, int], Array]] = {
    "eigh": lambda A, k: (lambda r: (r.V * r.w) @ r.V.conj().T)(rnla.eigh(A, k, rng=0)),
    "eigh, iterated": lambda A, k: (
        lambda r: (r.V * r.w) @ r.V.conj().T
    )(rnla.eigh(A, k, method=rnla.SubspaceIteration(), rng=0)),
}  # fmt: skip
DEFINITE: dict[str, Callable[[Array, int], Array]] = {
    "nystrom": lambda A, k: (lambda r: (r.V * r.w) @ r.V.conj().T)(rnla.nystrom(A, k, rng=0)),
    "cholesky": lambda A, k: (lambda r: r.L @ r.L.conj().T)(rnla.cholesky(A, k, rng=0)),
}


def ratios(A: Array, s: Array, approximation: Array, k: int) -> tuple[float, float]:
    """Return error / optimum in the Frobenius and the spectral norm."""
    rest = A.astype(np.float64) - approximation.astype(np.float64)
    slack = 50 * float(np.finfo(A.dtype).eps)
    whole, largest = float(np.linalg.norm(s)), float(s[0])
    frobenius = np.linalg.norm(rest) / (np.linalg.norm(s[k:]) + slack * whole)
    after = float(s[k]) if k < len(s) else 0.0
    return float(frobenius), float(np.linalg.norm(rest, 2) / (after + slack * largest))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rank", type=int, default=20)
    parser.add_argument("--dtype", default="float64")
    chosen = parser.parse_args()
    m, n = (150, 100) if chosen.small else (800, 600)
    kinds: dict[str, Callable[[Array, int], Array]] = {**GENERAL, **HERMITIAN, **DEFINITE}
    print(f"{m} x {n}, rank {chosen.rank}, {chosen.dtype}; each entry: Frobenius / spectral ratio to the optimum")
    print(f"{'spectrum':<16}" + "".join(f"{name:>18}" for name in kinds))
    for name in SPECTRA:
        s = spectrum(name, n, dtype=chosen.dtype)
        U, V = haar(m, n, rng=1), haar(n, n, rng=2)
        signs = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
        matrices = {
            **dict.fromkeys(GENERAL, ((U * s) @ V.T).astype(chosen.dtype)),
            **dict.fromkeys(HERMITIAN, _hermitian(V, s * signs, chosen.dtype)),
            **dict.fromkeys(DEFINITE, _hermitian(V, s, chosen.dtype)),
        }
        row = []
        for kind, make in kinds.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rnla.RnlaWarning)
                pair = ratios(matrices[kind], s, make(matrices[kind], chosen.rank), chosen.rank)
            row.append(f"{pair[0]:>9.3f} / {pair[1]:<6.3f}")
        print(f"{name:<16}" + "".join(f"{entry:>18}" for entry in row), flush=True)


def _hermitian(V: Array, w: Array, dtype: str) -> Array:
    A = (V * w) @ V.T
    return ((A + A.T) / 2).astype(dtype)


if __name__ == "__main__":
    main()

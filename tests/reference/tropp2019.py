"""The one-pass algorithms of Tropp, Yurtsever, Udell and Cevher (2017, 2017b, 2019), transcribed.

Plain NumPy, no blocking; test matrices are the caller's.  Slow and literal on purpose: these are oracles.  The
2017 papers' pseudo-inverses are least squares by `numpy.linalg.lstsq`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sketches(A: Array, Upsilon: Array, Omega: Array, Phi: Array, Psi: Array) -> tuple[Array, Array, Array]:
    """X = Upsilon A, Y = A Omega*, Z = Phi A Psi* (2019, equation 3.3 in the paper's orientation)."""
    return Upsilon @ A, A @ Omega.conj().T, Phi @ A @ Psi.conj().T


def low_rank_approximation(X: Array, Y: Array, Z: Array, Phi: Array, Psi: Array) -> tuple[Array, Array, Array]:
    """Q, C, P with A ~ Q C P* (2019, the initial approximation)."""
    Q = np.linalg.qr(Y)[0]
    P = np.linalg.qr(X.conj().T)[0]
    C = np.linalg.lstsq(Phi @ Q, Z, rcond=None)[0]
    C = np.linalg.lstsq(Psi @ P, C.conj().T, rcond=None)[0].conj().T
    return Q, C, P


def fixed_rank(Q: Array, C: Array, P: Array, r: int) -> Array:
    """The best rank-r approximation of Q C P*."""
    U, s, Vh = np.linalg.svd(C)
    return (Q @ U[:, :r] * s[:r]) @ (Vh[:r] @ P.conj().T)


def range_corange(Y: Array, W: Array, Psi: Array, r: int) -> Array:
    """2017: Q = orth(Y), X = (Psi Q)^+ W, the best rank-r approximation of Q X."""
    Q = np.linalg.qr(Y)[0]
    X = np.linalg.lstsq(Psi @ Q, W, rcond=None)[0]
    U, s, Vh = np.linalg.svd(X, full_matrices=False)
    return (Q @ U[:, :r] * s[:r]) @ Vh[:r]


def fixed_rank_nystrom(A: Array, Omega: Array, r: int) -> Array:
    """2017b: the rank-r truncation of (A O)(O* A O)^+ (A O)* with O = orth(Omega), shifted by nu."""
    O = np.linalg.qr(Omega)[0]  # noqa: E741
    Y = A @ O
    nu = np.sqrt(len(A)) * np.finfo(np.float64).eps * np.linalg.norm(Y, 2)
    Y = Y + nu * O
    B = O.conj().T @ Y
    L = np.linalg.cholesky((B + B.conj().T) / 2)
    U, s, _ = np.linalg.svd(np.linalg.solve(L, Y.conj().T).conj().T, full_matrices=False)
    return (U[:, :r] * np.maximum(0, s[:r] ** 2 - nu)) @ U[:, :r].conj().T


def storage_sizes(T: int, m: int, n: int) -> tuple[int, int]:
    """K and s from a storage budget (2019, for real data)."""
    both = m + n + 4
    k = int((np.sqrt(both**2 + 16 * (T - 1)) - both) / 8)
    return k, int(np.sqrt(T - k * (m + n)))


def squared_error_bound(tails: Array, k: int, s: int, alpha: int) -> float:
    """2019, the bound on E norm(A - Q C P*)_F^2; `tails[rho]` is the sum of squares past rho."""
    rhos = range(k - alpha)
    return (s - alpha) / (s - k - alpha) * min((k + rho - alpha) / (k - rho - alpha) * tails[rho] for rho in rhos)


def range_corange_bound(tails: Array, k: int, l: int, alpha: int) -> float:  # noqa: E741
    """2017, Theorem 4.3: the bound on E norm(A - Q X)_F^2."""
    return (1 + k / (l - k - alpha)) * min((1 + rho / (k - rho - alpha)) * tails[rho] for rho in range(k - alpha))

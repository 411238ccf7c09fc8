"""Algorithm 3 of Tropp, Yurtsever, Udell and Cevher (2017), fixed-rank PSD approximation, and formulas of Epperly and
Tropp (2022) for it, transcribed: slow, plain, the oracle.

Nothing here is imported from the library.  The test matrix is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def fixed_rank_psd(A: Array, Omega: Array, rank: int) -> tuple[Array, Array]:
    """The Nystrom approximation of a rank in the shifted form: eigenvalues and eigenvectors."""
    n = A.shape[0]
    Omega = np.linalg.qr(Omega)[0]
    Y = A @ Omega
    mu = np.finfo(A.dtype).eps * np.sqrt(n) * np.linalg.norm(Y, 2)
    Y = Y + mu * Omega
    B = Omega.conj().T @ Y
    C = np.linalg.cholesky((B + B.conj().T) / 2).conj().T
    F = np.linalg.solve(C.conj().T, Y.conj().T).conj().T
    U, sigma, _ = np.linalg.svd(F, full_matrices=False)
    lam = np.maximum(sigma**2 - mu, 0)
    return lam[:rank], U[:, :rank]


def nystrom(A: Array, Omega: Array) -> Array:
    """A Omega (Omega* A Omega)^+ (A Omega)*, dense."""
    Y = A @ Omega
    return Y @ np.linalg.pinv(Omega.conj().T @ Y, rcond=1e-12, hermitian=False) @ Y.conj().T


def leave_one_out(A: Array, Omega: Array) -> float:
    """The root of the mean over i of norm((A - A_i) omega_i)^2, A_i from all columns of Omega but the i-th."""
    squares = []
    for i in range(Omega.shape[1]):
        rest = A - nystrom(A, np.delete(Omega, i, axis=1))
        squares.append(np.linalg.norm(rest @ Omega[:, i]) ** 2)
    return float(np.sqrt(np.mean(squares)))

"""Randomized block Krylov iteration as Tropp and Webber (2023) write it down: slow, plain, the oracle.

Nothing here is imported from the library.  The test matrix is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def stabilized_orth(Z: Array, level: float) -> Array:
    """Return the left singular vectors of Z whose singular values exceed a level."""
    U, s, _ = np.linalg.svd(Z, full_matrices=False)
    return U[:, s > level]


def rbki(A: Array, Omega: Array, depth: int) -> tuple[Array, Array, Array, Array]:
    """Return [X_1 ... X_q] and the singular value decomposition of its projection of A."""
    Y = Omega
    Xs, Ys = np.zeros((A.shape[0], 0), dtype=A.dtype), []
    level = 100 * np.finfo(A.dtype).eps * np.linalg.norm(A) ** 2
    for _ in range(depth):
        Z = A @ Y
        for _ in range(2):
            Z = Z - Xs @ (Xs.conj().T @ Z)
        X = stabilized_orth(Z, level)
        Y = A.conj().T @ X
        Xs = np.column_stack([Xs, X])
        Ys.append(Y)
    Q, R = np.linalg.qr(np.column_stack(Ys))
    U, s, Vh = np.linalg.svd(R.conj().T, full_matrices=False)
    return Xs, Xs @ U, s, Vh @ Q.conj().T


def krylov_space(A: Array, Omega: Array, depth: int) -> Array:
    """Return an orthonormal basis of the span of Omega, A*A Omega, ..., (A*A)^(depth - 1) Omega, by Gram-Schmidt."""
    X = Q = np.linalg.qr(Omega)[0]
    for _ in range(depth - 1):
        X = A.conj().T @ (A @ X)
        for _ in range(3):
            X = np.linalg.qr(X - Q @ (Q.conj().T @ X))[0]
        Q = np.column_stack([Q, X])
    return Q

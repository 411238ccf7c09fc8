"""The fixed-precision PCA of Feng and Yu (2023), farPCA, transcribed: slow, plain, the oracle.

Nothing here is imported from the library.  The test matrices of the blocks are passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def eig_svd(X: Array) -> tuple[Array, Array]:
    """Return the left singular vectors and the singular values, ascending, from the Gram matrix."""
    squares, V = np.linalg.eigh(X.conj().T @ X)
    s = np.sqrt(squares)
    return (X @ V) / s, s


def far_pca(A: Array, Omegas: list[Array], power: int) -> tuple[Array, Array, float]:
    """Return Y, W = A* Y of all blocks, and the root of the error indicator; A is near Y (Y* Y)^-1 W*.

    The first test matrix is orthonormalized, so that the shift is set from the first step on.
    """
    m, n = A.shape
    Y, W = np.zeros((m, 0), dtype=A.dtype), np.zeros((n, 0), dtype=A.dtype)
    for Omega in Omegas:
        Z = Y.conj().T @ Y
        alpha = 0.0
        Q = eig_svd(Omega)[0]
        for _ in range(power):
            H = A.conj().T @ (A @ Q)
            if Y.shape[1]:
                H = H - W @ np.linalg.solve(Z, W.conj().T @ Q)
            Q, s = eig_svd(H - alpha * Q)
            if alpha < s[0]:
                alpha = (alpha + s[0]) / 2
        Y = np.column_stack([Y, A @ Q])
        W = np.column_stack([W, A.conj().T @ (A @ Q)])
    indicator = np.linalg.norm(A) ** 2 - np.trace(np.linalg.solve(Y.conj().T @ Y, W.conj().T @ W)).real
    return Y, W, float(np.sqrt(max(indicator, 0.0)))

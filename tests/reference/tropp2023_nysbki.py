"""NysBKI, the Nystrom approximation with block Krylov iteration, of Tropp and Webber (2023), transcribed.

Slow, plain, the oracle.  Nothing here is imported from the library.  The test matrix is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def nystrom_block_krylov(A: Array, Omega: Array, m: int) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors after m products with A, which must be positive semidefinite."""
    nu = np.finfo(A.dtype).eps * np.trace(A).real
    Z = Omega
    X = np.zeros((A.shape[0], 0), dtype=A.dtype)
    Y = np.zeros((A.shape[0], 0), dtype=A.dtype)
    for _ in range(m):
        Z = Z - X @ (X.conj().T @ Z)
        Z = Z - X @ (X.conj().T @ Z)
        Q = np.linalg.qr(Z)[0]
        AQ = A @ Q + nu * Q
        X = np.concatenate([X, Q], axis=1)
        Y = np.concatenate([Y, AQ], axis=1)
        Z = AQ
    B = X.conj().T @ Y
    C = np.linalg.cholesky((B + B.conj().T) / 2).conj().T
    F = np.linalg.solve(C.conj().T, Y.conj().T).conj().T
    U, sigma, _ = np.linalg.svd(F, full_matrices=False)
    return np.maximum(sigma**2 - nu, 0), U

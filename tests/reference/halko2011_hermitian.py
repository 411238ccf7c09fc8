"""Algorithms 5.3 and 5.5 of Halko, Martinsson and Tropp (2011), transcribed: slow, plain, the oracle.

Nothing here is imported from the library.  The basis is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def direct_eigenvalue_decomposition(A: Array, Q: Array) -> tuple[Array, Array]:
    """Algorithm 5.3: eigenvalues and eigenvectors of Q Q* A Q Q*, for a Hermitian A."""
    B = Q.conj().T @ A @ Q
    lam, V = np.linalg.eigh(B)
    return lam, Q @ V


def eigenvalue_decomposition_via_nystrom(A: Array, Q: Array) -> tuple[Array, Array]:
    """Algorithm 5.5: eigenvalues and eigenvectors of (A Q)(Q* A Q)^-1 (A Q)*, for a positive definite A."""
    B1 = A @ Q
    B2 = Q.conj().T @ B1
    C = np.linalg.cholesky(B2).conj().T  # B2 = C* C
    F = np.linalg.solve(C.conj().T, B1.conj().T).conj().T  # F = B1 C^-1
    U, sigma, _ = np.linalg.svd(F, full_matrices=False)
    return sigma**2, U

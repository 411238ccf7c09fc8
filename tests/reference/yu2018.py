"""randQB_EI of Yu, Gu and Li (2018), Algorithm 2, transcribed: slow, plain, the oracle.

Nothing here is imported from the library.  The test matrices of the blocks are passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def orth(X: Array) -> Array:
    """Return an orthonormal basis of the range."""
    return np.linalg.qr(X)[0]


def rand_qb_ei(A: Array, Omegas: list[Array], power: int, tol: float = 0.0) -> tuple[Array, Array, float]:
    """Return Q, B and the error indicator's root after the blocks, or after the first at which it is below tol."""
    m, n = A.shape
    Q, B = np.zeros((m, 0), dtype=A.dtype), np.zeros((0, n), dtype=A.dtype)
    E = np.linalg.norm(A) ** 2
    for Omega in Omegas:
        Qi = orth(A @ Omega - Q @ (B @ Omega))
        for _ in range(power):
            Qi = orth(A.conj().T @ Qi - B.conj().T @ (Q.conj().T @ Qi))
            Qi = orth(A @ Qi - Q @ (B @ Qi))
        Qi = orth(Qi - Q @ (Q.conj().T @ Qi))
        Bi = Qi.conj().T @ A - Qi.conj().T @ Q @ B
        Q, B = np.column_stack([Q, Qi]), np.vstack([B, Bi])
        E -= np.linalg.norm(Bi) ** 2
        if (tol * np.linalg.norm(A)) ** 2 > E:
            break
    return Q, B, float(np.sqrt(max(E, 0.0)))

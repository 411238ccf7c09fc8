"""AccAltProj of Cai, Cai and Wei (2019), Algorithm 2 without trimming, with the parameters of its program: the oracle.

Nothing here is imported from the library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def hard(X: Array, zeta: float) -> Array:
    """Return what stays of X at the threshold."""
    return np.where(np.abs(X) >= zeta, X, 0)


def truncated(X: Array, r: int) -> tuple[Array, Array, Array]:
    """Return the leading r triplets."""
    U, s, Vh = np.linalg.svd(X, full_matrices=False)
    return U[:, :r], s[:r], Vh[:r].conj().T


def acc_alt_proj(
    D: Array, r: int, tol: float, gamma: float = 0.7, iterations: int = 100,
    leading: Callable[[Array, int], tuple[Array, Array, Array]] = truncated,
) -> tuple[Array, Array, list[float]]:  # fmt: skip
    """Return L, S and the residuals, relative to D; `leading` makes the first triplets."""
    m, n = D.shape
    beta = 1 / (2 * (m * n) ** 0.25)
    zeta = 4 * beta * leading(D, 1)[1][0]
    S = hard(D, zeta)
    U, s, V = leading(D - S, r)
    L = (U * s) @ V.conj().T
    S = hard(D - L, beta * s[0])
    residuals = []
    for t in range(1, iterations + 1):
        Z = D - S
        core = U.conj().T @ Z @ V
        Q1, R1 = np.linalg.qr(Z.conj().T @ U - V @ core.conj().T)
        Q2, R2 = np.linalg.qr(Z @ V - U @ core)
        M = np.block([[core, R1.conj().T], [R2, np.zeros((r, r))]])
        A, s, Bh = np.linalg.svd(M)
        U = np.hstack([U, Q2]) @ A[:, :r]
        V = np.hstack([V, Q1]) @ Bh[:r].conj().T
        L = (U * s[:r]) @ V.conj().T
        zeta = beta * (s[r] + gamma**t * s[0])
        S = hard(D - L, zeta)
        residuals.append(float(np.linalg.norm(D - L - S) / np.linalg.norm(D)))
        if residuals[-1] < tol:
            break
    return L, S, residuals

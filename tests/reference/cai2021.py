"""IRCUR of Cai, Hamm, Huang, Li and Wang (2021), Algorithm 1, on rows and columns that are passed in: the oracle.

Nothing here is imported from the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def hard(X: Array, zeta: float) -> Array:
    """Return what stays of X at the threshold."""
    return np.where(np.abs(X) >= zeta, X, 0)


def pseudo_inverse(U: Array, r: int) -> Array:
    """Return the pseudo-inverse of the part of rank r."""
    a, s, b = np.linalg.svd(U, full_matrices=False)
    return (b[:r].conj().T / s[:r]) @ a[:, :r].conj().T


def ircur(
    D: Array, r: int, crosses: list[tuple[Array, Array]], zeta0: float, gamma: float, tol: float
) -> tuple[Array, list[float]]:
    """Return L and the residuals on the crosses, relative to D there."""
    L, zeta, residuals = np.zeros_like(D), zeta0, []
    for k, (i, j) in enumerate(crosses):
        zeta = gamma**k * zeta0
        S = hard(D - L, zeta)  # of which only the cross is used
        C, R, U = (D - S)[:, j], (D - S)[i], (D - S)[np.ix_(i, j)]
        E = D - L - S
        residuals.append(
            float((np.linalg.norm(E[i]) + np.linalg.norm(E[:, j])) / (np.linalg.norm(D[i]) + np.linalg.norm(D[:, j])))
        )
        if residuals[-1] < tol:
            break
        L = C @ pseudo_inverse(U, r) @ R
    return L, residuals

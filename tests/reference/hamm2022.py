"""RieCUR of Hamm, Meskini and Cai (2022), Algorithm 1 in the reading that moves, with dense projections: the oracle.

The blocks C, U, R are those of D - S_k (with the blocks of the previous L, as the text can be read, nothing changes),
and the retraction is the skeleton of rank r of the projected matrix.  Nothing here is imported from the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.reference.cai2021 import hard, pseudo_inverse

Array = np.ndarray[Any, Any]


def tangent(X: Array, U: Array, V: Array) -> Array:
    """Return the projection on the tangent space of the matrices of rank r with these singular spaces."""
    P, Q = U @ U.conj().T, V @ V.conj().T
    return P @ X + X @ Q - P @ X @ Q


def spaces(L: Array, r: int) -> tuple[Array, Array]:
    """Return the left and the right singular space."""
    U, _, Vh = np.linalg.svd(L, full_matrices=False)
    return U[:, :r], Vh[:r].conj().T


def truncated(X: Array, r: int) -> Array:
    """Return the best approximation of rank r."""
    U, s, Vh = np.linalg.svd(X, full_matrices=False)
    return (U[:, :r] * s[:r]) @ Vh[:r]


def riecur(D: Array, r: int, crosses: list[tuple[Array, Array]], zeta0: float, gamma: float, exact: bool) -> Array:
    """Return L after the crosses; with `exact`, the retraction is the truncated SVD in place of the skeleton."""
    L = np.zeros_like(D)
    for k, (i, j) in enumerate(crosses):
        S = hard(D - L, gamma**k * zeta0) if k else np.zeros_like(D)
        Z = D - S
        skeleton = Z[:, j] @ pseudo_inverse(Z[np.ix_(i, j)], r) @ Z[i]
        if k == 0:
            L = skeleton
            continue
        P = tangent(skeleton, *spaces(L, r))
        L = truncated(P, r) if exact else P[:, j] @ pseudo_inverse(P[np.ix_(i, j)], r) @ P[i]
    return L

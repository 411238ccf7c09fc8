"""Chosen rows and columns as their papers state them: slow, plain NumPy, the oracle.

Gu and Eisenstat's strong rank-revealing QR (1996, Algorithm 4); Algorithms 5.2 and 5.4 of Halko, Martinsson and
Tropp (2011); randomly pivoted QR, one column at a time.  Nothing here is imported from the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def pivoted_columns(A: Array, k: int) -> list[int]:
    """Column pivoting by definition: the column that is farthest from the span of those taken, k times."""
    chosen: list[int] = []
    for _ in range(k):
        rest = A
        if chosen:
            Q = np.linalg.qr(A[:, chosen])[0]
            rest = A - Q @ (Q.conj().T @ A)
            rest = rest - Q @ (Q.conj().T @ rest)
        norms = np.linalg.norm(rest, axis=0)
        norms[chosen] = -1
        chosen.append(int(np.argmax(norms)))
    return chosen


def strong_rrqr(A: Array, k: int, f: float = 2.0) -> tuple[list[int], Array, Array]:
    """Algorithm 4: exchange columns while that multiplies |det R11| by more than f; return J, R11^-1 R12 and R22."""
    chosen = pivoted_columns(A, k)
    n = A.shape[1]
    while True:
        others = [j for j in range(n) if j not in chosen]
        _, R = np.linalg.qr(A[:, chosen + others], mode="complete" if A.shape[0] < n else "reduced")
        R11, R12, R22 = R[:k, :k], R[:k, k:], R[k:, k:]
        T = np.linalg.solve(R11, R12)
        gamma = np.linalg.norm(R22, axis=0)
        omega = np.linalg.norm(np.linalg.inv(R11), axis=1)
        gain = np.sqrt(np.abs(T) ** 2 + np.outer(omega, gamma) ** 2)
        i, j = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[i, j] <= f:
            return chosen, T, R22
        chosen[i], others[j] = others[j], chosen[i]


def column_error(A: Array, chosen: Any, order: Any = "fro") -> float:
    """The error of the best approximation by chosen columns."""
    Q, s, _ = np.linalg.svd(A[:, chosen], full_matrices=False)
    Q = Q[:, s > 1e-14 * max(s.max(initial=0.0), 1e-300)]
    rest = A - Q @ (Q.conj().T @ A)
    return float(np.linalg.norm(rest, order))


def row_id(Q: Array) -> tuple[list[int], Array]:
    """Rows J and X with Q = X Q[J, :], X[J, :] = I, |X| <= 2, by strong rank-revealing QR of the adjoint."""
    k = Q.shape[1]
    J, T, _ = strong_rrqr(Q.conj().T, k)
    others = [i for i in range(Q.shape[0]) if i not in J]
    X = np.zeros((Q.shape[0], k), dtype=Q.dtype)
    X[J] = np.eye(k)
    X[others] = T.conj().T
    return J, X


def svd_by_row_extraction(A: Array, Q: Array) -> tuple[Array, Array, Array, Array]:
    """Algorithm 5.2: the SVD of X A[J, :] from the rows of an ID of Q; also returns X."""
    J, X = row_id(Q)
    W, R = np.linalg.qr(A[J, :].conj().T)  # A[J, :] = R* W*
    Z = X @ R.conj().T
    U, s, Vt_tilde = np.linalg.svd(Z, full_matrices=False)
    return U, s, Vt_tilde @ W.conj().T, X


def eigh_by_row_extraction(A: Array, Q: Array) -> tuple[Array, Array, Array]:
    """Algorithm 5.4: the eigendecomposition of X A[J, J] X* for Hermitian A; also returns X."""
    J, X = row_id(Q)
    V, R = np.linalg.qr(X)
    Z = R @ A[np.ix_(J, J)] @ R.conj().T
    w, W = np.linalg.eigh((Z + Z.conj().T) / 2)
    return w, V @ W, X


def randomly_pivoted_qr(B: Array, k: int, rng: np.random.Generator) -> list[int]:
    """One column at a time, drawn by the squared norms that are left."""
    rest, chosen = B.copy(), []
    for _ in range(k):
        squares = np.sum(np.abs(rest) ** 2, axis=0)
        j = int(rng.choice(B.shape[1], p=squares / squares.sum()))
        chosen.append(j)
        q = rest[:, j] / np.linalg.norm(rest[:, j])
        rest = rest - np.outer(q, q.conj() @ rest)
    return chosen


def chances_of_pairs(B: Array) -> Array:
    """The probability of every ordered pair of columns under randomly pivoted QR, exactly."""
    n = B.shape[1]
    first = np.sum(np.abs(B) ** 2, axis=0)
    out = np.zeros((n, n))
    for i in range(n):
        q = B[:, i] / np.linalg.norm(B[:, i])
        rest = B - np.outer(q, q.conj() @ B)
        squares = np.sum(np.abs(rest) ** 2, axis=0)
        squares[i] = 0
        out[i] = first[i] / first.sum() * squares / squares.sum()
    return out

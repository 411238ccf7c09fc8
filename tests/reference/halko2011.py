"""Algorithms 4.1, 4.4 and 5.1 of Halko, Martinsson and Tropp (2011), transcribed: slow, plain, the oracle.

Nothing here is imported from the library.  The test matrix is passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def gram_schmidt(Y: Array) -> tuple[Array, Array]:
    """Return Q and R of Y by modified Gram-Schmidt, every column twice."""
    rows, columns = Y.shape
    Q = np.zeros((rows, columns), dtype=Y.dtype)
    R = np.zeros((columns, columns), dtype=Y.dtype)
    for j in range(columns):
        y = Y[:, j].copy()
        for _ in range(2):
            for i in range(j):
                component = np.vdot(Q[:, i], y)
                R[i, j] += component
                y -= component * Q[:, i]
        R[j, j] = np.linalg.norm(y)
        Q[:, j] = y / R[j, j]
    return Q, R


def randomized_range_finder(A: Array, Omega: Array) -> Array:
    """Algorithm 4.1: an orthonormal basis of the range of A Omega."""
    Y = A @ Omega
    return gram_schmidt(Y)[0]


def randomized_subspace_iteration(A: Array, Omega: Array, q: int) -> Array:
    """Algorithm 4.4: an orthonormal basis of the range of (A A*)^q A Omega."""
    Q = gram_schmidt(A @ Omega)[0]
    for _ in range(q):
        Q_tilde = gram_schmidt(A.conj().T @ Q)[0]
        Q = gram_schmidt(A @ Q_tilde)[0]
    return Q


def direct_svd(A: Array, Q: Array) -> tuple[Array, Array, Array]:
    """Algorithm 5.1: the singular value decomposition of Q Q* A."""
    B = Q.conj().T @ A
    U_tilde, s, Vh = np.linalg.svd(B, full_matrices=False)
    return Q @ U_tilde, s, Vh


def leave_one_out(A: Array, Omega: Array, q: int) -> float:
    """The root of the mean over i of norm((I - Q_i Q_i*) A omega_i)^2, Q_i from all columns but the i-th."""
    count = Omega.shape[1]
    squares = []
    for i in range(count):
        Q = randomized_subspace_iteration(A, np.delete(Omega, i, axis=1), q)
        image = A @ Omega[:, i]
        squares.append(np.linalg.norm(image - Q @ (Q.conj().T @ image)) ** 2)
    return float(np.sqrt(np.mean(squares)))

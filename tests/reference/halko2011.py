"""Algorithms 4.1 to 4.4 and 5.1 of Halko, Martinsson and Tropp (2011), transcribed: slow, plain, the oracle.

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


def adaptive_randomized_range_finder(A: Array, samples: Array, r: int, stop: float) -> tuple[Array, float]:
    """Algorithm 4.2, vector by vector; the samples are the columns omega_1, omega_2, ... as they are needed.

    It stops when the largest of the r vectors ahead is at most `stop`, and returns Q and the bound (4.3).
    """
    rows = A.shape[0]
    y = [A @ samples[:, i] for i in range(r)]
    used = r
    Q = np.zeros((rows, 0), dtype=A.dtype)
    j = 0
    while max(np.linalg.norm(y[i]) for i in range(j, j + r)) > stop and j < min(A.shape):
        y[j] = y[j] - Q @ (Q.conj().T @ y[j])
        q = y[j] / np.linalg.norm(y[j])
        Q = np.column_stack([Q, q])
        omega = samples[:, used]
        used += 1
        new = A @ omega
        y.append(new - Q @ (Q.conj().T @ new))
        for i in range(j + 1, j + r):
            y[i] = y[i] - q * np.vdot(q, y[i])
        j += 1
    return Q, 10 * np.sqrt(2 / np.pi) * max(np.linalg.norm(y[i]) for i in range(j, j + r))


def randomized_power_iteration(A: Array, Omega: Array, q: int) -> Array:
    """Algorithm 4.3: an orthonormal basis of the range of (A A*)^q A Omega, formed as it stands."""
    Y = A @ Omega
    for _ in range(q):
        Y = A @ (A.conj().T @ Y)
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

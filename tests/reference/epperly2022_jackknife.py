"""The jackknife of Epperly and Tropp (2022) by brute force: every replicate made again without its column.

Nothing here is imported from the library.  The test matrix is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Parts = tuple[Array, Array, Array, Array]


def range_parts(A: Array, Omega: Array, k: int) -> Parts:
    """Singular values, both projectors, and the approximation of rank k of the projection on the range of A Omega."""
    Q = np.linalg.qr(A @ Omega)[0]
    U, s, Vh = np.linalg.svd(Q @ (Q.conj().T @ A), full_matrices=False)
    U, s, Vh = U[:, :k], s[:k], Vh[:k]
    return s, U @ U.conj().T, Vh.conj().T @ Vh, (U * s) @ Vh


def nystrom_parts(A: Array, Omega: Array, k: int) -> Parts:
    """Eigenvalues, the projector twice, and the approximation of rank k of the Nystrom approximation."""
    Y = A @ Omega
    w, V = np.linalg.eigh(Y @ np.linalg.solve(Omega.conj().T @ Y, Y.conj().T))
    w, V = w[::-1][:k], V[:, ::-1][:, :k]
    return w, V @ V.conj().T, V @ V.conj().T, (V * w) @ V.conj().T


def jackknife(A: Array, Omega: Array, k: int, parts: Callable[[Array, Array, int], Parts]) -> tuple[Array, ...]:
    """The root of sum_j |X_(j) - mean|^2 of each part; entry by entry for the values."""
    replicates = [parts(A, np.delete(Omega, j, axis=1), k) for j in range(Omega.shape[1])]
    found = []
    for i in range(4):
        stack = np.asarray([replicate[i] for replicate in replicates])
        squares = np.abs(stack - stack.mean(axis=0)) ** 2
        found.append(np.sqrt(squares.sum(axis=0) if i == 0 else squares.sum()))
    return tuple(found)

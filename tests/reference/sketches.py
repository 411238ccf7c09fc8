"""Test matrices as the papers write them, from their random ingredients: slow, plain, dense, the oracle.

Nothing here is imported from the library.  Scaling is the papers' times sqrt(columns): columns with E omega omega* = I.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def dft(n: int) -> Array:
    """The unitary discrete Fourier transform, entry by entry (Halko, Martinsson and Tropp 2011, section 4.6)."""
    return np.array([[np.exp(-2j * np.pi * p * q / n) / math.sqrt(n) for q in range(n)] for p in range(n)])


def dct(n: int) -> Array:
    """The orthonormal cosine transform of the second kind, entry by entry."""
    out = np.empty((n, n))
    for k in range(n):
        for p in range(n):
            scale = math.sqrt((1 if k == 0 else 2) / n)
            out[k, p] = scale * math.cos(math.pi * (2 * p + 1) * k / (2 * n))
    return out


def hadamard(n: int) -> Array:
    """The normalized Walsh-Hadamard matrix by its recursion."""
    out = np.ones((1, 1))
    while len(out) < n:
        out = np.block([[out, out], [out, -out]])
    return out / math.sqrt(n)


def srft(d: Array, chosen: Array) -> Array:
    """Omega = sqrt(n) D F R, D diagonal of unit modulus, R the chosen columns of the identity (Algorithm 4.5)."""
    n = len(d)
    D = np.diag(d)
    R = np.eye(n)[:, chosen]
    return math.sqrt(n) * D @ dft(n) @ R


def srtt(F: Array, signs: list[Array], orders: list[Array], chosen: Array, rows: int) -> Array:
    """The transpose of sqrt(N) R F D_q P_q ... F D_1 P_1, where P moves coordinate i to place order[i]."""
    N = len(F)
    S = np.eye(N)
    for d, order in zip(signs, orders, strict=True):
        P = np.zeros((N, N), dtype=d.dtype)
        for i in range(N):
            P[order[i], i] = d[i]
        S = F @ P @ S
    return math.sqrt(N) * S[chosen].T[:rows]


def rotation_chain(n: int, angles: Array, order: Array) -> Array:
    """Theta = Pi G(1, 2; theta_1) G(2, 3; theta_2) ... G(n - 1, n; theta_(n-1)); row i of Pi picks order[i]."""
    out = np.eye(n)[order]
    for i, angle in enumerate(angles):
        G = np.eye(n)
        G[i, i] = G[i + 1, i + 1] = math.cos(angle)
        G[i, i + 1], G[i + 1, i] = -math.sin(angle), math.sin(angle)
        out = out @ G
    return out


def gsrft(F: Array, diagonals: list[Array], chains: list[Array], chosen: Array, rows: int) -> Array:
    """Omega = sqrt(N) D'' Theta' D' Theta D F R, with the transpose of F where F is not symmetric."""
    N = len(F)
    D0, D1, D2 = (np.diag(d) for d in diagonals)
    Theta, Theta1 = chains
    return (math.sqrt(N) * D2 @ Theta1 @ D1 @ Theta @ D0 @ F.T @ np.eye(N)[:, chosen])[:rows]


def sparse_stack(positions: Array, signs: Array, sizes: list[int]) -> Array:
    """Blocks of columns side by side, each with one sign in a row, times the square root of the block's size."""
    rows = len(positions)
    blocks = []
    for b, size in enumerate(sizes):
        block = np.zeros((rows, size))
        for i in range(rows):
            block[i, positions[i, b]] = signs[i, b] * math.sqrt(size)
        blocks.append(block)
    return np.hstack(blocks)


def khatri_rao(factors: list[Array]) -> Array:
    """Column j is the Kronecker product of the j-th columns."""
    columns = []
    for j in range(factors[0].shape[1]):
        column = np.ones(1)
        for factor in factors:
            column = np.kron(column, factor[:, j])
        columns.append(column)
    return np.stack(columns, axis=1)

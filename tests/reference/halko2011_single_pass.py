"""Halko, Martinsson and Tropp (2011), section 5.5: the one-pass cores as the paper states them, one dense system each.

Slow and literal on purpose: every unknown of B is a column of a least-squares matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def hermitian_core(Q: Array, Omega: Array, Y: Array) -> Array:
    """Algorithm 5.6: the Hermitian B that minimises norm(B (Q* Omega) - Q* Y)_F."""
    G, H = Q.conj().T @ Omega, Q.conj().T @ Y
    b = len(G)
    units = []
    for i in range(b):
        for j in range(i + 1):
            E = np.zeros((b, b), dtype=complex)
            E[i, j] = E[j, i] = 1
            units.append(E)
            if i != j:
                E = np.zeros((b, b), dtype=complex)
                E[i, j], E[j, i] = 1j, -1j
                units.append(E)
    columns = np.array([_real(E @ G) for E in units]).T
    weights = np.linalg.lstsq(columns, _real(H), rcond=None)[0]
    return np.asarray(sum(w * E for w, E in zip(weights, units, strict=True)))


def joint_core(Q: Array, P: Array, Omega: Array, Upsilon: Array, Y: Array, X: Array) -> Array:
    """The general form: B that fits B (P* Omega) = Q* Y and B* (Q* Upsilon) = P* X together."""
    G1, H1 = P.conj().T @ Omega, Q.conj().T @ Y
    G2, H2 = Q.conj().T @ Upsilon, P.conj().T @ X
    b, c = Q.shape[1], P.shape[1]
    columns = []
    for i in range(b):
        for j in range(c):
            for unit in (1, 1j):
                E = np.zeros((b, c), dtype=complex)
                E[i, j] = unit
                columns.append(np.concatenate([_real(E @ G1), _real(E.conj().T @ G2)]))
    weights = np.linalg.lstsq(np.array(columns).T, np.concatenate([_real(H1), _real(H2)]), rcond=None)[0]
    return (weights[0::2] + 1j * weights[1::2]).reshape(b, c)


def _real(A: Array) -> Array:
    return np.concatenate([A.real.ravel(), A.imag.ravel()])

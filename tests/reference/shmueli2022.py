"""The shifted alternating directions for the root of a changed matrix, transcribed: slow, plain NumPy, the oracle.

Nothing here is imported from the library.  The shifts are passed in.  Every iterate is kept as S = H + Z M Z^H, and the
solves use the formula of Sherman, Morrison and Woodbury, in the form in which M is not inverted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def shifted_solve(H: Array, Z: Array, M: Array, s: float, R: Array) -> Array:
    """(H + Z M Z* + s I)^{-1} R = X - G M (I + Z* G M)^{-1} Z* X."""
    shifted = H + s * np.eye(len(H))
    X, G = np.linalg.solve(shifted, R), np.linalg.solve(shifted, Z)
    core = np.eye(len(M)) + Z.conj().T @ G @ M
    return X - G @ M @ np.linalg.solve(core, Z.conj().T @ X)


def alternating_directions(H: Array, D: Array, sign: int, shifts: list[float]) -> list[tuple[Array, Array]]:
    """S and R after every shift, from S = H and R = D: H^2 + sign D D* = S^2 + sign R R*."""
    Z, M, R = np.zeros((len(H), 0)), np.zeros((0, 0)), D
    iterates = [(H, D)]
    for s in shifts:
        V = np.sqrt(2 * s) * shifted_solve(H, Z, M, s, R)
        Y = np.eye(D.shape[1]) + sign / (2 * s) * V.conj().T @ V
        inverse = np.linalg.inv(Y)
        Z = np.hstack([Z, V])
        old, M = M, np.zeros((Z.shape[1], Z.shape[1]), dtype=V.dtype)
        M[: len(old), : len(old)] = old
        M[len(old) :, len(old) :] = sign * inverse
        R = R - np.sqrt(2 * s) * V @ inverse
        iterates.append((H + Z @ M @ Z.conj().T, R))
    return iterates

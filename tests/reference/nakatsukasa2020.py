"""The generalized Nystrom approximation of Nakatsukasa (2020), transcribed: slow, plain NumPy, the oracle.

Nothing here is imported from the library.  The test matrices are passed in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def generalized_nystrom(A: Array, X: Array, Y: Array) -> Array:
    """A X (Y* A X)^+ Y* A, dense."""
    AX = A @ X
    YA = Y.conj().T @ A
    Q, R = np.linalg.qr(YA @ X)
    return np.linalg.solve(R.T, AX.T).T @ (Q.conj().T @ YA)

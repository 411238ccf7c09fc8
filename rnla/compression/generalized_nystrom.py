"""The generalized Nystrom approximation from two sketches of any matrix [nakatsukasa2020]_, [clarkson2009]_.

Problem: approximate an m by n matrix A from Y = A Omega and Z = A^H Psi alone, which one pass over A gives.

Equation: A ~ Y (Psi^H Y)^+ Z^H, which is A itself where A has no higher rank than Omega has columns.

S1. Y = Q R, so that Y (Psi^H Y)^+ = Q (Psi^H Q)^+ where Y has full rank.
S2. A ~ Q X, X = (Psi^H Q)^+ Z^H by least squares: Householder QR, never the pseudo-inverse.

Cost: 2 m l^2 + 2 (m + n) l l' flops for l and l' columns of Omega and Psi.

Guarantee: A - Q X = (I - Q (Psi^H Q)^+ Psi^H)(A - Q Q^H A); for Gaussian Omega and Psi with l' = l + p, p >= 2 columns,
E norm(A - Q X)_F^2 = (1 + l / (p - 1)) E norm(A - Q Q^H A)_F^2 for real data (Psi is independent of Q;
`tests/factorization/test_generalized_nystrom.py`).

Differences from the papers: S1, which keeps the least-squares problem well conditioned where Psi^H Y is not.
"""

from __future__ import annotations

from typing import Any

from rnla._xp.least_squares import least_squares
from rnla._xp.linalg import adjoint
from rnla.orth import CholeskyQR2, Orthonormalizer

__all__ = ["generalized_nystrom_factors"]


def generalized_nystrom_factors(
    y: Any, psi: Any, z: Any, orthonormalizer: Orthonormalizer | None = None
) -> tuple[Any, Any]:
    """Return Q with orthonormal columns and X with A ~ Q X.

    Parameters
    ----------
    y : array, shape (m, l)
        A Omega.
    psi : array, shape (m, l'), l' >= l
    z : array, shape (n, l')
        A^H Psi.
    orthonormalizer : Orthonormalizer, optional

    Examples
    --------
    >>> import numpy as np
    >>> A = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])
    >>> Q, X = generalized_nystrom_factors(A @ np.ones((2, 1)), np.eye(3)[:, :2], A.T @ np.eye(3)[:, :2])
    >>> bool(np.allclose(Q @ X, A))
    True
    """
    q, _ = (orthonormalizer or CholeskyQR2()).factor(y)  # S1
    return q, least_squares(adjoint(psi) @ q, adjoint(z))[0]  # S2

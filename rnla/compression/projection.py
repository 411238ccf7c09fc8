"""Projection on a basis (QB): the compression that every range finder can feed.

Problem: given an orthonormal basis and the image of A on it, write A ~ Q C P^H.

- row space, X in n rows, image A X:          A ~ (A X) X^H,     Q = I, C = A X, P = X;
- column space, X in m rows, image A^H X:     A ~ X (A^H X)^H,   Q = X, C = (A^H X)^H, P = I.

Equation: the error is the part of A outside the basis, and it is orthogonal to what is kept:
norm(A - Q C P^H)_F^2 = norm(A)_F^2 - norm(C)_F^2.
Cost: nothing; the product was made by the range finder [halko2011]_ (section 5.1, first step).
"""

from __future__ import annotations

from rnla._xp.linalg import adjoint
from rnla.results import LowRank, RangeBasis

__all__ = ["project"]


def project(basis: RangeBasis) -> LowRank:
    """Return the projection of the matrix on a basis.

    Parameters
    ----------
    basis : RangeBasis

    Returns
    -------
    LowRank

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag([2.0, 1.0])
    >>> X = np.eye(2)[:, :1]
    >>> project(RangeBasis("row", X, A @ X, (1,))).C.tolist()
    [[2.0], [0.0]]
    """
    if basis.space == "row":
        return LowRank(None, basis.image, basis.basis)
    return LowRank(basis.basis, adjoint(basis.image), None)

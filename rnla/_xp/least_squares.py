"""Overdetermined least squares for panels of any library: what the array standard lacks."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, host_values, qr, svd
from rnla._xp.namespace import namespace_of

__all__ = ["least_squares"]


def least_squares(a: Any, b: Any) -> tuple[Any, bool]:
    """Return X that minimises norm(a X - b)_F for p >= k, and whether `a` had full column rank.

    By Householder QR and back substitution; never through a pseudo-inverse or normal equations.  Where `a` is
    deficient to rounding, X is the solution of least norm, by the singular value decomposition.

    Parameters
    ----------
    a : array, shape (p, k)
    b : array, shape (p, c)
    """
    xp = namespace_of(a)
    q, r = qr(a)
    if r.shape[0] == 0:
        return adjoint(q) @ b, True
    diagonal = host_values(xp.abs(xp.linalg.diagonal(r)))
    if diagonal.min() > 4 * eps_of(a.dtype) * max(a.shape) * diagonal.max():
        # The triangle meets no pivoting on its way through LU, so this is back substitution.
        return xp.linalg.solve(r, adjoint(q) @ b), True
    u, s, vh = svd(a)
    values = host_values(s)
    kept = int(np.count_nonzero(values > 4 * eps_of(a.dtype) * max(a.shape) * values[0]))
    inner = (adjoint(u[:, :kept]) @ b) / cast(s[:kept], b.dtype)[:, None]
    return adjoint(vh[:kept, :]) @ inner, False

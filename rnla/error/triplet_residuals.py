"""Residuals of singular triplets and of eigenpairs, by the definition of PRIMME [wu2017]_.

For a triplet (u, s, v):  r = sqrt(norm(A v - s u)^2 + norm(A^H u - s v)^2), not divided by anything.  PRIMME calls a
triplet converged when r <= tol norm(A), tol 1e-6 by default.

S1. A V and A^H U, columns of all triplets together.
S2. Norms of the columns of A V - U S and A^H U - V S, joined.

Cost: one product of k columns with A and one with its adjoint: two passes.
Guarantee: for unit u and v some singular value of A lies within r / sqrt(2) of s, because (u, v) / sqrt(2) is a unit
vector with residual r / sqrt(2) for the Hermitian matrix [[0, A], [A^H, 0]]; checked in
tests/error/test_triplet_residuals.py.
An eigenpair (w, v) of a Hermitian matrix has the residual norm(A v - w v): one product, and an eigenvalue of A lies
within it of w.
Differences from `svd`'s certificate: that bounds what all the factors miss together, this how well each vector stands
alone; vectors of values that lie close together have small residuals in any mixture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, column_norms, host_values
from rnla.config import fixed_settings
from rnla.errors import InputError
from rnla.iterate import watching
from rnla.operators.coerce import as_operator
from rnla.operators.ledger import Ledger
from rnla.operators.scan import times_power_of_two
from rnla.working import families_of, working

__all__ = ["eigenpair_residuals", "triplet_residuals"]


def triplet_residuals(A: Any, U: Any, s: Any, Vh: Any) -> np.ndarray[Any, Any]:
    """Return sqrt(norm(A v - s u)^2 + norm(A^H u - s v)^2) of each triplet.

    Parameters
    ----------
    A : matrix, shape (m, n)
    U : array, shape (m, k)
    s : array, shape (k,)
    Vh : array, shape (k, n)
        In the library and on the device of A.

    Returns
    -------
    numpy.ndarray, shape (k,)
        float64, on the host, in the scale of A.

    Raises
    ------
    InputError
        Shapes that do not fit.

    Examples
    --------
    >>> A = np.diag([3.0, 2.0])
    >>> triplet_residuals(A, np.eye(2), np.array([3.0, 1.0]), np.eye(2)).round(12).tolist()
    [0.0, 1.414213562373]
    """
    base = as_operator(A)
    m, n = base.shape
    k = int(s.shape[0])
    if tuple(U.shape) != (m, k) or tuple(Vh.shape) != (k, n):
        raise InputError(
            f"factors of shapes {tuple(U.shape)}, {(k,)} and {tuple(Vh.shape)} are not triplets of a {m} x {n} matrix"
        )
    if k == 0 or min(m, n) == 0:
        return np.zeros(k)
    with fixed_settings(), watching(2) as watch, working(base.xp, base.dtype, families=families_of(base)):
        watch.stage = "residuals of the triplets"
        op = Ledger(base)
        op.measure()
        narrow = getattr(op.xp, op.dtype.name)
        u, v = cast(U, narrow), cast(adjoint(Vh), narrow)
        left, right = op.matmat(v), op.rmatmat(u)
        # The products are of A times a power of two; so are the values, which is exact.
        values = cast(times_power_of_two(s, -op.exponent), narrow)[None, :]
        norms = [host_values(column_norms(each)) for each in (left - u * values, right - v * values)]
    residuals: np.ndarray[Any, Any] = np.ldexp(np.hypot(norms[0], norms[1]), op.exponent)
    return residuals


def eigenpair_residuals(A: Any, w: Any, V: Any) -> np.ndarray[Any, Any]:
    """Return norm(A v - w v) of each pair.

    Parameters
    ----------
    A : matrix, shape (n, n)
        Hermitian; that is not looked at.
    w : array, shape (k,)
    V : array, shape (n, k)
        In the library and on the device of A.

    Returns
    -------
    numpy.ndarray, shape (k,)
        float64, on the host, in the scale of A.

    Raises
    ------
    InputError
        Shapes that do not fit.

    Examples
    --------
    >>> eigenpair_residuals(np.diag([3.0, -2.0]), np.array([3.0, -1.0]), np.eye(2)).round(12).tolist()
    [0.0, 1.0]
    """
    base = as_operator(A)
    n, k = base.shape[1], int(w.shape[0])
    if base.shape != (n, n) or tuple(V.shape) != (n, k):
        raise InputError(
            f"{k} values and vectors of shape {tuple(V.shape)} are not eigenpairs of a matrix {base.shape}"
        )
    if k == 0 or n == 0:
        return np.zeros(k)
    with fixed_settings(), watching(1) as watch, working(base.xp, base.dtype, families=families_of(base)):
        watch.stage = "residuals of the eigenpairs"
        op = Ledger(base)
        op.measure()
        narrow = getattr(op.xp, op.dtype.name)
        v = cast(V, narrow)
        norms = host_values(column_norms(op.matmat(v) - v * cast(times_power_of_two(w, -op.exponent), narrow)[None, :]))
    residuals: np.ndarray[Any, Any] = np.ldexp(norms, op.exponent)
    return residuals

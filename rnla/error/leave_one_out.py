"""Leave-one-out: the error of a randomized projection from its own test matrix [epperly2022]_.

Leave column i of the test matrix out: the basis X_(i) that the others give does not depend on
omega_i, so norm((A - A X_(i) X_(i)^H) omega_i)^2 is an unbiased estimate of the squared Frobenius
error with one column less.  All l of them cost nothing beyond small algebra:

S1. The range finder made X R = (A^H A)^v Omega, R = R_v ... R_1 from its orthonormalizations.
S2. s_i = the direction of R^{-H} e_i: the direction of range(X) that leaves with column i.
S3. A X_(i) X_(i)^H omega_i = Y (I - s_i s_i^H) X^H omega_i, with Y = A X.
S4. estimate^2 = mean over i of norm(A omega_i - Y (I - s_i s_i^H) X^H omega_i)^2.

Guarantee: unbiased (of the square) for the error with l - 1 columns; never a bound.  Valid for the
first block of a basis only, with A Omega kept.  Difference from the paper: R is the product of the
triangles, so that power steps are covered too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnla._xp.linalg import cast, column_norms, host_values
from rnla._xp.namespace import device_of, from_host, namespace_of, to_host

__all__ = ["leave_one_out", "leave_one_out_of_range", "leaving_directions"]


def leaving_directions(triangles: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """Return the unit vectors s_i as columns (S2), or None where a triangle is singular."""
    size = int(triangles[0].shape[0])
    s = np.eye(size, dtype=np.result_type(np.float64, to_host(triangles[0]).dtype))
    for triangle in triangles:
        r = to_host(triangle).astype(s.dtype)
        diagonal = np.abs(np.diag(r))
        if not diagonal.size or diagonal.min() <= 1e-14 * diagonal.max():
            return None
        s = np.linalg.solve(r.conj().T, s)
        norms = np.linalg.norm(s, axis=0)
        if not np.all(np.isfinite(norms)) or not np.all(norms > 0):
            return None
        s /= norms
    return s


def leave_one_out(sketch: Any, image: Any, coordinates: Any, triangles: Sequence[Any]) -> tuple[float, float] | None:
    """Return the estimate of the Frobenius error and its standard error, or None for a singular triangle.

    Parameters
    ----------
    sketch : array, shape (p, l)
        A Omega.
    image : array, shape (p, l)
        Y = A X.
    coordinates : array, shape (l, l)
        X^H Omega.
    triangles : sequence of array, shape (l, l)
        R_1, ..., R_v in the order in which they were made.
    """
    size = int(sketch.shape[1])
    s_host = leaving_directions(triangles) if size else None
    if s_host is None:
        return None
    xp = namespace_of(sketch)
    s = cast(from_host(s_host, xp, device_of(sketch)), sketch.dtype)
    weights = xp.sum(xp.conj(s) * coordinates, axis=0)  # s_i^H X^H omega_i
    rest = sketch - image @ (coordinates - s * weights[None, :])
    squares = host_values(column_norms(rest)) ** 2
    mean = float(np.mean(squares))
    if mean == 0:
        return 0.0, 0.0
    spread = float(np.std(squares, ddof=1)) / math.sqrt(size) if size > 1 else mean
    return math.sqrt(mean), 0.5 * spread / math.sqrt(mean)


def leave_one_out_of_range(triangle: Any) -> tuple[float, float] | None:
    """Return the estimate for a basis Q of the range of Y = A Omega = Q R, and its standard error.

    There A omega_i is a column of Y itself, so what is left of it is s_i s_i^H R e_i: its norm is 1 / norm(R^-H e_i),
    from R alone.  None for a singular triangle.

    Parameters
    ----------
    triangle : array, shape (l, l)
        R.
    """
    s = leaving_directions([triangle]) if int(triangle.shape[1]) else None
    if s is None:
        return None
    squares = np.abs(np.sum(s.conj() * to_host(triangle).astype(s.dtype), axis=0)) ** 2
    size, mean = len(squares), float(np.mean(squares))
    if mean == 0:
        return 0.0, 0.0
    spread = float(np.std(squares, ddof=1)) / math.sqrt(size) if size > 1 else mean
    return math.sqrt(mean), 0.5 * spread / math.sqrt(mean)

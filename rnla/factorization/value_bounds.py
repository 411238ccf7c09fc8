"""Two-sided bounds on singular values from a basis of any range finder.

Problem: how far may s_j(A) be from the j-th singular value t_j of the projection A X X^H?

S1. Below: t_j <= s_j(A), because a projection makes no singular value larger.
S2. Above, by Weyl: A A^H = A X X^H A^H + A (I - X X^H) A^H, so s_j^2 <= t_j^2 + rho^2, with rho a bound on the
    residual norm(A - A X X^H): in the Frobenius norm by the identity, or by powered probes [halko2011]_ (Lemma 4.1).
S3. Sharper above, for one pass more.  In the basis of the right vectors V and their complement A^H A is
    [[T, E^H], [E, M]], T = diag(t^2), E = (A^H U - V diag(t)) diag(t), norm(M) <= rho^2.  For z > rho^2 the number of
    eigenvalues above z is that of T + E^H (z - M)^{-1} E [haynsworth1968]_, which is below T + E^H E / (z - rho^2).
    So with f_j(z) the j-th eigenvalue of that small matrix, which falls with z, s_j^2 <= max(z, f_j(z)) for every z:
    the bound is squared in the angle between the vectors found and the true ones, where S2 is not.
S4. Sums of squares: norm(A)_F^2 where the entries tell it, else t^2 and the residual between two bounds from probes.

Cost: 5 passes of 6 columns (S2), one pass of all columns of the basis (S3), a few eigenvalue problems of its size.
Guarantee: all bounds hold together but with the failure probability given, which is 0 for S1; rounding is added to
both sides as 10 + 3 sqrt(columns) eps of the largest value.  Checked in tests/statistical/test_honesty.py.
Differences from the literature: S3 is Haynsworth's inertia formula with M replaced by its bound; Temple's and Kato's
bounds are its case of one column.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, cast, eps_of, is_complex
from rnla._xp.namespace import to_host
from rnla.error.probes import PROBES_WITHOUT_NORM, lower_share, probe_residual, upper_share
from rnla.error.residual import identity_floor
from rnla.error.spectral import SPECTRAL_PASSES, spectral_bound
from rnla.operators.algebra import Adjoint
from rnla.operators.ledger import Ledger
from rnla.results import RangeBasis
from rnla.rng import Key

__all__ = ["ValueBounds", "bound_values"]

_FAILURE = 5e-5  # of each side of an interval from probes
_NODES = 24  # points z at which S3 is evaluated


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ValueBounds:
    """Bounds on the singular values of the scaled matrix.

    Attributes
    ----------
    lower, upper : numpy.ndarray, shape (l,)
    rest : float
        Upper bound on every value past these.
    squares : tuple of float
        Bounds on the squared Frobenius norm.
    failure_probability : float
    """

    lower: np.ndarray[Any, Any]
    upper: np.ndarray[Any, Any]
    rest: float
    squares: tuple[float, float]
    failure_probability: float


def bound_values(
    op: Ledger, basis: RangeBasis, values: np.ndarray[Any, Any], vectors: tuple[Any, Any], key: Key
) -> ValueBounds:
    """Return bounds on the singular values, of the scaled matrix.

    Parameters
    ----------
    op : Ledger
        Products made here are counted there; where no passes are left, the bounds are the wider ones.
    basis : RangeBasis
    values : numpy.ndarray, shape (l,)
        Singular values of the projection, descending.
    vectors : tuple of array
        U (m, l) and Vh (l, n) of the projection.
    key : Key
        Independent of the basis.
    """
    eps, size = eps_of(op.dtype), len(values)
    top = float(values.max(initial=0.0))
    complete = basis.size >= int(basis.basis.shape[0])
    level = top * eps * (10 + 3 * math.sqrt(max(op.shape) if complete else size))
    lower = np.maximum(values - level, 0.0)
    total = math.fsum((values**2).tolist())
    if complete:
        slack = 2 * level * float(values.sum()) + size * level**2
        return ValueBounds(lower, values + level, level, (max(0.0, total - slack), total + slack), 0.0)
    squares, (residual, chance) = _sums(op, basis, total, key)
    rho, failure = residual, chance
    if op.spare_passes >= SPECTRAL_PASSES and residual > 0:
        view = op if basis.space == "row" else Adjoint(op)
        bound, extra = spectral_bound(view, basis.basis, basis.image, key.child("spectral-probes"))
        if bound < rho:
            rho, failure = bound, chance + extra
    rho += level
    upper = np.hypot(values, rho)  # S2
    if op.spare_passes >= 1 and math.isfinite(rho) and top > rho:
        upper = np.minimum(upper, _sharpened(op, basis, values, vectors, rho, level))
    return ValueBounds(lower, upper + level, rho, squares, min(1.0, failure))


def _sums(op: Ledger, basis: RangeBasis, total: float, key: Key) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return bounds on the squared norm of A, and one on that of the residual with its failure probability (S4)."""
    eps = eps_of(op.dtype)
    magnitude = op.measure()
    if magnitude is not None:
        square = magnitude.frobenius**2
        squares = square * (1 - 16 * eps), square * (1 + 16 * eps)
        left = (magnitude.frobenius - math.sqrt(total)) * (magnitude.frobenius + math.sqrt(total))
        floor = (identity_floor(op.dtype) * magnitude.frobenius) ** 2
        if left > floor or op.spare_passes < 1 or square == 0:
            return squares, (math.sqrt(max(left, 0.0) + 64 * eps * square), 0.0)
    elif op.spare_passes < 1:
        return (total, math.inf), (math.inf, 0.0)
    view = op if basis.space == "row" else Adjoint(op)
    count = PROBES_WITHOUT_NORM
    normals = key.child("value-probes").normals(0, view.shape[1], count, dtype=op.dtype, xp=op.xp, device=op.device)
    value, _ = probe_residual(basis.basis, basis.image, normals, view.matmat(normals))
    complex_columns = is_complex(op.dtype)
    low = value / math.sqrt(upper_share(count, _FAILURE, complex_columns=complex_columns))
    high = value / math.sqrt(lower_share(count, _FAILURE, complex_columns=complex_columns))
    slack = 16 * eps * total
    if magnitude is None:
        squares = max(0.0, total + low**2 - slack), total + high**2 + slack
    return squares, (high + 16 * eps * math.sqrt(total), _FAILURE * (1 if magnitude is not None else 2))


def _sharpened(
    op: Ledger, basis: RangeBasis, values: np.ndarray[Any, Any], vectors: tuple[Any, Any], rho: float, level: float
) -> np.ndarray[Any, Any]:
    """Return the upper bounds of S3."""
    u, v = vectors[0], adjoint(vectors[1])
    t = cast(op.xp.asarray(values) if op.device is None else op.xp.asarray(values, device=op.device), u.dtype)
    rest = op.rmatmat(u) - v * t[None, :] if basis.space == "row" else op.matmat(v) - u * t[None, :]
    # What rounding adds to E is below eta: norm(E + dE)^2 <= (1 + a) E^H E + (1 + 1/a) eta^2.
    eta = level * float(values[0])
    panel = rest * t[None, :]
    gram = to_host(adjoint(panel) @ panel)
    gram = gram.astype(np.complex128 if gram.dtype.kind == "c" else np.float64) * 1.001
    gram = (gram + gram.conj().T) / 2 + (1001 * eta**2) * np.eye(len(values))
    squares = values.astype(np.float64) ** 2
    above = squares[squares > rho**2 * (1 + 1e-6)]
    count = min(len(above), _NODES if len(values) <= 500 else _NODES // 3)
    best = np.full(len(values), np.inf)
    for z in above[np.unique(np.linspace(0, len(above) - 1, count).astype(int))] if count else ():
        f = np.linalg.eigvalsh(np.diag(squares) + gram / (z - rho**2))[::-1]
        best = np.minimum(best, np.maximum(z, f))
    bounds: np.ndarray[Any, Any] = np.sqrt(best)
    return bounds

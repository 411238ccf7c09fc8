"""Pivoted QR, LU and triangular solves, which the array standard lacks.

Each is the library's own where it has one (SciPy's LAPACK on the host, torch, CuPy); elsewhere it is written in
the standard.  Arrays stay on their device: what crosses is an index or a vector of pivots.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, host_values, is_complex, qr, zeros
from rnla._xp.namespace import all_finite, backend_name, device_of, from_host, is_numpy, namespace_of, to_host
from rnla.errors import NonFiniteError

__all__ = [
    "column_squares", "pivoted_lu", "pivoted_qr", "pivoted_triangle", "pivots_of_columns", "solve_triangular", "take",
]  # fmt: skip

Array = np.ndarray[Any, Any]


def take(x: Any, index: Array, axis: int) -> Any:
    """Return the rows (axis 0) or columns (axis 1) of a list of indices, as an array of its own."""
    xp = namespace_of(x)
    if is_numpy(xp):
        return np.take(x, index, axis=axis)
    return xp.take(x, xp.asarray(np.asarray(index, dtype=np.int64), device=device_of(x)), axis=axis)


def column_squares(x: Any) -> Any:
    """Return the squared Euclidean norms of the columns, real, in the precision of the array."""
    xp = namespace_of(x)
    if is_complex(x.dtype):
        return xp.sum(xp.real(x) ** 2 + xp.imag(x) ** 2, axis=0)
    return xp.sum(x * x, axis=0)


def _gate(x: Any, routine: str) -> None:
    if not all_finite(x):
        raise NonFiniteError(f"a {tuple(x.shape)} array with NaN or infinity was about to enter {routine}")


def pivots_of_columns(x: Any, count: int) -> Array:
    """Return the indices of `count` columns in the order in which column-pivoted QR takes them.

    Parameters
    ----------
    x : array, shape (p, n)
    count : int
        At most n.  Columns past the numerical rank follow in ascending order.

    Notes
    -----
    On the host this is LAPACK's geqp3.  Elsewhere every step takes the column of largest norm, projects it out of
    all columns twice, and reads the norms anew: 8 p n flops and one index to the host a step.

    Examples
    --------
    >>> pivots_of_columns(np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]), 3).tolist()
    [2, 1, 0]
    """
    return pivoted_triangle(x, count)[0]


def pivoted_triangle(x: Any, count: int) -> tuple[Array, tuple[Array, Array] | None]:
    """Return what `pivots_of_columns` does, and, on the host, the whole triangle of it with the order of its columns.

    Parameters
    ----------
    x : array, shape (p, n)
    count : int
    """
    _gate(x, "pivoted QR")
    p, n = int(x.shape[0]), int(x.shape[1])
    most = min(count, p, n)
    xp = namespace_of(x)
    whole = None
    if most == 0:
        found: list[int] = []
    elif is_numpy(xp):
        import scipy.linalg

        triangle, order = scipy.linalg.qr(x, mode="r", pivoting=True, check_finite=False)
        diagonal = np.abs(np.diagonal(triangle))
        live = diagonal > _negligible(x) * diagonal[0]
        found = order[: min(most, int(np.argmin(live)) if not live.all() else len(live))].tolist()
        whole = triangle, order
    else:
        found = _greedy_pivots(x, most)
    return _completed(found, n, count), whole


def _negligible(x: Any) -> float:
    return eps_of(x.dtype) * max(1.0, math.sqrt(min(x.shape)))


def _completed(found: list[int], n: int, count: int) -> Array:
    """Return the pivots, followed by the other columns in ascending order, `count` in all."""
    free = np.ones(n, dtype=bool)
    free[found] = False
    return np.concatenate([np.asarray(found, dtype=np.int64), np.flatnonzero(free)])[:count]


def _greedy_pivots(x: Any, most: int) -> list[int]:
    """Take columns of the largest norm that is left, in the array standard."""
    xp = namespace_of(x)
    found: list[int] = []
    first = 0.0
    rest, basis = x, None
    for _ in range(most):
        squares = column_squares(rest)
        j = int(xp.argmax(squares))
        size = math.sqrt(max(float(squares[j]), 0.0))
        first = first or size
        if size <= _negligible(x) * first or j in found:
            break
        found.append(j)
        q = rest[:, j : j + 1] / size
        if basis is not None:
            q = q - basis @ (adjoint(basis) @ q)
            q = q / math.sqrt(float(column_squares(q)[0]))
        basis = q if basis is None else xp.concat([basis, q], axis=1)
        rest = rest - q @ (adjoint(q) @ rest)
    return found


def pivoted_qr(x: Any) -> tuple[Any, Any, Array]:
    """Return Q, R and the pivots of a wide array: x[:, pivots] = Q R, with a real diagonal >= 0 in R.

    Parameters
    ----------
    x : array, shape (p, n), p <= n

    Returns
    -------
    q : array, shape (p, p)
        Unitary, also where x is rank deficient.
    r : array, shape (p, n)
        Upper trapezoidal.
    pivots : numpy.ndarray
        A permutation of the columns: the first p as pivoted QR takes them, the rest in ascending order.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]])
    >>> q, r, pivots = pivoted_qr(x)
    >>> np.abs(x[:, pivots] - q @ r).max() < 1e-15, pivots.tolist()
    (np.True_, [2, 1, 0])
    """
    p, n = int(x.shape[0]), int(x.shape[1])
    pivots = pivots_of_columns(x, n)
    if p == 0:
        return zeros((0, 0), x), x, pivots
    ordered = take(x, pivots, axis=1)
    q, lead = qr(ordered[:, :p])
    xp = namespace_of(x)
    diagonal = xp.linalg.diagonal(lead)
    modulus = xp.abs(diagonal)
    one = xp.ones_like(diagonal)
    safe = xp.where(modulus > 0, modulus, xp.ones_like(modulus))
    phase = xp.where(modulus > 0, diagonal / (safe if not is_complex(x.dtype) else xp.astype(safe, x.dtype)), one)
    q = q * phase[None, :]
    r = xp.concat([xp.triu(adjoint(q) @ ordered[:, :p]), adjoint(q) @ ordered[:, p:]], axis=1)
    # The diagonal is real and not negative but for rounding, which is all that it is where x is rank deficient.
    eye = xp.eye(p, dtype=x.dtype, device=device_of(x)) if not is_numpy(xp) else np.eye(p, dtype=x.dtype)
    diagonal = xp.linalg.diagonal(r)
    size = xp.astype(xp.abs(xp.real(diagonal) if is_complex(x.dtype) else diagonal), x.dtype)
    return q, xp.concat([xp.where(eye != 0, size[None, :], r[:, :p]), r[:, p:]], axis=1), pivots


def solve_triangular(r: Any, b: Any, *, lower: bool = False) -> Any:
    """Return the solution of R X = B by substitution, for a nonsingular triangle R.

    Parameters
    ----------
    r : array, shape (k, k)
    b : array, shape (k, n)
    lower : bool
        Whether R is a lower triangle; the other half is not read.

    Examples
    --------
    >>> solve_triangular(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([[4.0], [8.0]])).tolist()
    [[1.0], [2.0]]
    """
    if math.prod(b.shape) == 0:
        return b
    _gate(r, "a triangular solve")
    _gate(b, "a triangular solve")
    xp = namespace_of(r)
    if is_numpy(xp):
        import scipy.linalg

        return scipy.linalg.solve_triangular(r, b, lower=lower, check_finite=False)
    name = backend_name(xp)
    if name == "torch":
        return sys.modules["torch"].linalg.solve_triangular(r, b, upper=not lower)
    if name == "cupy":
        from cupyx.scipy.linalg import solve_triangular as on_device

        return on_device(r, b, lower=lower)
    if lower:  # turned about, a lower triangle is an upper one, which LU leaves alone
        return xp.flip(solve_triangular(xp.flip(xp.tril(r), axis=(0, 1)), xp.flip(b, axis=0)), axis=0)
    return xp.linalg.solve(xp.triu(r), b)


def pivoted_lu(x: Any) -> tuple[Array, Any, Any]:
    """Return the LU factorization of a tall array with partial pivoting: x[rows, :] = L U.

    Parameters
    ----------
    x : array, shape (m, k), m >= k

    Returns
    -------
    rows : numpy.ndarray
        A permutation of the rows.
    l : array, shape (m, k)
        Unit lower trapezoidal; no entry is above 1 in modulus, or sqrt(2) for complex numbers, which LAPACK
        compares by the sum of the moduli of their parts.
    u : array, shape (k, k)
        Upper triangular.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0], [4.0, 1.0], [2.0, 2.0]])
    >>> rows, l, u = pivoted_lu(x)
    >>> rows.tolist(), bool(np.allclose(x[rows], l @ u))
    ([1, 0, 2], True)
    """
    _gate(x, "LU")
    m, k = int(x.shape[0]), int(x.shape[1])
    if m == 0 or k == 0:
        return np.arange(m), zeros((m, k), x), zeros((k, k), x)
    xp = namespace_of(x)
    name = backend_name(xp)
    if is_numpy(xp):
        import scipy.linalg

        packed, swaps = scipy.linalg.lu_factor(x, check_finite=False)
    elif name == "torch":
        packed, raw = sys.modules["torch"].linalg.lu_factor(x)
        swaps = to_host(raw).astype(np.int64) - 1
    elif name == "cupy":
        from cupyx.scipy.linalg import lu_factor

        packed, raw = lu_factor(x)
        swaps = to_host(raw).astype(np.int64)
    else:
        return _eliminated(x)
    rows = np.arange(m)
    for i, j in enumerate(swaps.tolist()):
        rows[[i, j]] = rows[[j, i]]
    low = xp.tril(packed, k=-1)
    top = low[:k, :] + (np.eye(k, dtype=x.dtype) if is_numpy(xp) else xp.eye(k, dtype=x.dtype, device=device_of(x)))
    return rows, xp.concat([top, low[k:, :]], axis=0), xp.triu(packed[:k, :])


def _eliminated(x: Any) -> tuple[Array, Any, Any]:
    """Gaussian elimination in the array standard: every step takes the largest entry of its column."""
    xp = namespace_of(x)
    m, k = int(x.shape[0]), int(x.shape[1])
    chosen: list[int] = []
    columns, upper = [], []
    rest = x
    free = np.ones(m, dtype=bool)
    for step in range(k):
        modulus = _moduli_left(xp.abs(rest[:, step]), free)
        i = int(np.argmax(modulus))
        row = rest[i : i + 1, :]
        pivot = row[:, step : step + 1]
        chosen.append(i)
        free[i] = False
        mask = from_host(free.astype(np.float64), xp, device_of(x))
        column = rest[:, step : step + 1] * xp.astype(mask, x.dtype)[:, None]
        column = column / pivot if modulus[i] > 0 else column * 0
        columns.append(column)
        upper.append(row)
        rest = rest - column @ row
    rows = _completed(chosen, m, m)
    low = take(xp.concat(columns, axis=1), rows, axis=0)
    eye = xp.eye(m, k, dtype=x.dtype, device=device_of(x))
    return rows, xp.tril(low, k=-1) + eye, xp.triu(xp.concat(upper, axis=0))


def _moduli_left(modulus: Any, free: Array) -> Array:
    """Return the moduli of a column on the host, -1 where the row was taken before."""
    return np.where(free, host_values(modulus), -1.0)

"""Linear algebra of stacks of matrices, arrays (items, rows, columns): one call for all items.

Every routine works on each item alone, so an item's bits do not depend on which others stand beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._xp.linalg import adjoint, eps_of, is_complex, zeros
from rnla._xp.namespace import all_finite, device_of, is_numpy, namespace_of
from rnla.errors import NonFiniteError

__all__ = ["eigh", "pivoted_qr", "qr", "squares", "svd", "take_items"]

Array = np.ndarray[Any, Any]


def _gate(x: Any, routine: str) -> None:
    if not all_finite(x):
        raise NonFiniteError(f"a stack {tuple(x.shape)} with NaN or infinity was about to enter {routine}")


def take_items(x: Any, index: Array) -> Any:
    """Return some items of a stack, in the order of the indices."""
    if isinstance(x, np.ndarray):
        return x[index]
    xp = namespace_of(x)
    return xp.take(x, xp.asarray(np.ascontiguousarray(index, dtype=np.int64), device=device_of(x)), axis=0)


def squares(x: Any) -> Any:
    """Return the squared Frobenius norm of every item: within a row in the array's dtype, across rows in float64."""
    xp = namespace_of(x)
    if is_numpy(xp):
        return np.vecdot(x, x).real.sum(axis=-1, dtype=np.float64)
    rows = xp.vecdot(x, x)
    return xp.sum(xp.real(rows) if is_complex(x.dtype) else rows, axis=-1, dtype=xp.float64)


def qr(x: Any) -> tuple[Any, Any]:
    """Return the reduced QR factorization of every item, by Householder reflections.

    Examples
    --------
    >>> import numpy as np
    >>> q, r = qr(np.ones((3, 4, 1)))
    >>> q.shape, r.shape
    ((3, 4, 1), (3, 1, 1))
    """
    _gate(x, "QR")
    count, m, n = (int(side) for side in x.shape)
    if math.prod(x.shape) == 0:
        return zeros((count, m, min(m, n)), x), zeros((count, min(m, n), n), x)
    q, r = namespace_of(x).linalg.qr(x, mode="reduced")
    return q, r


def svd(x: Any) -> tuple[Any, Any, Any]:
    """Return the reduced singular value decomposition of every item, descending.

    Should divide and conquer not converge on the host, every item goes to LAPACK's QR iteration.
    """
    _gate(x, "SVD")
    xp = namespace_of(x)
    if is_numpy(xp):
        try:
            return tuple(np.linalg.svd(x, full_matrices=False))  # type: ignore[return-value]
        except np.linalg.LinAlgError:
            import scipy.linalg

            each = [scipy.linalg.svd(item, full_matrices=False, lapack_driver="gesvd") for item in x]
            u, s, vh = (np.stack(parts) for parts in zip(*each, strict=True))
            return u, s, vh
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    return u, s, vh


def eigh(x: Any) -> tuple[Any, Any]:
    """Return eigenvalues ascending and eigenvectors of the Hermitian part of every item."""
    x = (x + adjoint(x)) / 2
    _gate(x, "eigh")
    w, v = namespace_of(x).linalg.eigh(x)
    return w, v


def pivoted_qr(x: Any) -> tuple[Any, Any, Any]:
    """Return Q, R and the pivots of every item of a stack of wide matrices: x[:, pivots] = Q R.

    Parameters
    ----------
    x : array, shape (items, k, n), k <= n

    Returns
    -------
    Q : array, shape (items, k, k)
    R : array, shape (items, k, n)
        Upper trapezoidal, its diagonal real, not negative and descending but for rounding.
    pivots : array of int64, shape (items, n)
        The columns as they were taken, the others in ascending order.

    Notes
    -----
    k steps for all items at once; each takes the column of the largest norm, orthogonalizes it twice, and projects
    it out of all columns, whose norms are read anew: 6 k^2 n flops an item.

    Examples
    --------
    >>> import numpy as np
    >>> pivoted_qr(np.array([[[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]]))[2].tolist()
    [[2, 1, 0]]
    """
    xp, device = namespace_of(x), device_of(x)
    count, k, n = (int(side) for side in x.shape)
    place = {} if is_numpy(xp) else {"device": device}
    columns = xp.arange(n, **place)
    order = xp.broadcast_to(columns[None, :] + k, (count, n))  # an untaken column's place: after all that are taken
    basis = zeros((count, k, 0), x)
    rest, first, rows = x, None, []
    tiny = eps_of(x.dtype) * math.sqrt(max(n, 1))
    eye = xp.astype(xp.eye(k, **place), x.dtype) if not is_numpy(xp) else np.eye(k, dtype=x.dtype)
    for step in range(k):
        norms = _column_squares(rest)
        # What was taken is rounding now; it is not taken again.
        norms = xp.where(order < k, xp.zeros_like(norms) - 1, norms)
        chosen = columns[None, :] == xp.argmax(norms, axis=1)[:, None]
        size = xp.sqrt(xp.max(xp.where(norms > 0, norms, xp.zeros_like(norms)), axis=1))
        first = size if first is None else first
        q = xp.sum(xp.where(chosen[:, None, :], rest, xp.zeros_like(rest)), axis=2)
        # Past the rank of an item any unit vector that is orthogonal to the others will do.
        over = size <= tiny * first
        free = 1 - xp.sum(xp.abs(basis) ** 2, axis=2)
        spare = xp.argmax(free, axis=1)[:, None] == xp.arange(k, **place)[None, :]
        unit = xp.sum(xp.where(spare[:, None, :], eye[None, :, :], xp.zeros_like(eye)[None, :, :]), axis=2)
        q = xp.where(over[:, None], unit, q)
        for _ in range(2):
            q = q / xp.astype(_lengths(q), q.dtype)[:, None]
            inside = xp.sum((xp.conj(basis) if is_complex(x.dtype) else basis) * q[:, :, None], axis=1)
            q = q - xp.sum(basis * inside[:, None, :], axis=2)
        q = q / xp.astype(_lengths(q), q.dtype)[:, None]
        basis = xp.concat([basis, q[:, :, None]], axis=2)
        order = xp.where(chosen, xp.zeros_like(order) + step, order)
        row = (
            xp.sum(xp.conj(q)[:, :, None] * rest, axis=1)
            if is_complex(x.dtype)
            else xp.sum(q[:, :, None] * rest, axis=1)
        )
        rest = rest - q[:, :, None] * row[:, None, :]
        rows.append(xp.where(over[:, None], xp.zeros_like(row), row))
    pivots = xp.argsort(order, axis=1)
    if not rows:
        return basis, x, pivots
    index = xp.broadcast_to(pivots[:, None, :], (count, k, n))
    r = xp.triu(xp.take_along_axis(xp.stack(rows, axis=1), index, axis=2))
    # Real and not negative but for rounding, by the choice of q.
    on = xp.arange(k, **place)[:, None] == columns[None, :]
    return basis, xp.where(on[None, :, :], xp.astype(xp.abs(r), r.dtype), r), pivots


def _column_squares(x: Any) -> Any:
    xp = namespace_of(x)
    if is_complex(x.dtype):
        return xp.sum(xp.real(x) ** 2 + xp.imag(x) ** 2, axis=1)
    return xp.sum(x * x, axis=1)


def _lengths(q: Any) -> Any:
    xp = namespace_of(q)
    length = xp.sqrt(xp.sum(xp.abs(q) ** 2, axis=1))
    return xp.where(length > 0, length, xp.ones_like(length))

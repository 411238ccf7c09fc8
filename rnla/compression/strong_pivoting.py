"""Swaps that make a choice of columns strongly rank-revealing [gu1996]_.

Problem: given columns J of a matrix G, improve J until no exchange of one column raises the volume of G[:, J] by
more than a factor f.

With G[:, J] = Q R, T = R^{-1} Q^H G, gamma_j the norm of column j of G - Q Q^H G and omega_i the norm of row i of
R^{-1}, exchanging the i-th chosen column for column j multiplies the volume by
sqrt(|T_ij|^2 + gamma_j^2 omega_i^2) (Lemma 3.1 of the paper).

S1. QR of G[:, J]; T, gamma, omega.
S2. Take the exchange of the largest factor; if it is at most f: done.  Else exchange, and repeat.

Cost: 4 l k n flops for every look, for G of l rows; after pivoted QR there is seldom an exchange to make.
Guarantee (Theorem 3.2 of the paper, r = min(l, n)): |T_ij| <= f, and for every i
s_i(G[:, J]) >= s_i(G) / q and s_j(G - Q Q^H G) <= s_{k+j}(G) q with q = sqrt(1 + f^2 k (n - k));
every exchange multiplies the volume by more than f > 1, so there are finitely many.
Tested in `tests/compression/test_column_selection.py`, on the matrix of Kahan among others.

Differences from the paper: (1) the factors are made anew after an exchange instead of updated, because exchanges are
rare; (2) columns may be kept out of it (`kept`), so that a choice can grow without losing what it had.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run
from rnla._xp.linalg import adjoint, eps_of, host_values, is_complex, qr
from rnla._xp.namespace import device_of, from_host, is_numpy, namespace_of
from rnla._xp.pivoting import column_squares, pivots_of_columns, solve_triangular, take
from rnla.compression.wide_solve import wide_solve
from rnla.config import get_config

__all__ = ["BOUND", "allows_no_exchange", "independent", "largest_entry", "needs_no_exchange", "strongly_pivoted"]

Array = np.ndarray[Any, Any]

BOUND = 2.0
"""f: the largest modulus that an interpolation coefficient may have."""
_MOST_EXCHANGES = 1000


def _moduli(x: Any) -> Any:
    return namespace_of(x).abs(x) if is_complex(x.dtype) else x


def largest_entry(x: Any) -> tuple[int, int, float]:
    """Return row, column and value of the largest entry of a real array; (0, 0, 0.0) for an empty one."""
    if 0 in x.shape:
        return 0, 0, 0.0
    xp = namespace_of(x)
    at = int(xp.argmax(xp.reshape(x, (-1,))))
    i, j = divmod(at, int(x.shape[1]))
    return i, j, float(x[i, j])


def outside(n: int, chosen: Any, like: Any) -> Any:
    """Return a row of ones, with zeros at the chosen columns, real, in the library of an array."""
    mask = np.ones((1, n), dtype=np.float32 if eps_of(like.dtype) > 1e-10 else np.float64)
    mask[0, np.asarray(chosen, dtype=np.int64)] = 0
    return from_host(mask, namespace_of(like), device_of(like))


def independent(triangle: Any, rows: int) -> tuple[Array, int]:
    """Return the order in which pivoted QR takes the columns of a triangle, and how many of them are independent.

    Parameters
    ----------
    triangle : array, shape (k, k)
        Of the QR factorization of a panel.
    rows : int
        Of that panel, in which rounding adds up.
    """
    k = int(triangle.shape[1])
    order = pivots_of_columns(triangle, k)
    if k == 0:
        return order, 0
    xp = namespace_of(triangle)
    diagonal = host_values(xp.abs(xp.linalg.diagonal(qr(take(triangle, order, axis=1))[1])))
    level = 4 * eps_of(triangle.dtype) * max(2.0, max(rows, k) ** 0.5)
    live = diagonal > level * diagonal[0]
    return order, 0 if diagonal[0] == 0 else int(np.argmin(live)) if not live.all() else k


def needs_no_exchange(triangle: Array, count: int, *, bound: float = BOUND) -> bool:
    """Whether the first columns that pivoted QR took allow no exchange, by its triangle alone (S1, S2).

    Of R = [R_1 T_1; 0 R_2] the interpolation is T = R_1^{-1} T_1, and gamma are the column norms of R_2.

    Parameters
    ----------
    triangle : numpy.ndarray, shape (p, n)
        Of all columns, in the order of the pivots.
    count : int
        Of the columns chosen.
    bound : float
    """
    if count == triangle.shape[1]:
        return True
    left = column_squares(triangle[count:, count:])
    return allows_no_exchange(triangle[:count, :count], triangle[:count, count:], left, bound=bound)


def allows_no_exchange(lead: Array, rows: Array, left: Array, *, bound: float = BOUND) -> bool:
    """Whether chosen columns allow no exchange, by the triangle of their QR factorization and what it leaves (S1, S2).

    Parameters
    ----------
    lead : numpy.ndarray, shape (k, k)
        R of the columns chosen; what stands below the diagonal is not read.
    rows : numpy.ndarray, shape (k, n)
        Q^H G for the others, or for all.
    left : numpy.ndarray, shape (n,)
        The squared norms of what Q leaves of them.
    bound : float
    """
    threads, count = get_config().threads, len(lead)
    lead = np.ascontiguousarray(lead)
    t = wide_solve(lead, rows)
    inverted = solve_triangular(lead, np.eye(count, dtype=lead.dtype))
    omega = column_squares(adjoint(inverted))

    def largest(part: slice) -> float:
        gain = _moduli(t[:, part])
        gain = np.square(gain, out=gain if gain is not t else None) if gain.base is None else np.square(gain)
        gain += np.outer(omega, left[part])
        return float(gain.max(initial=0.0))

    parts = even_ranges(t.shape[1], 16)
    return bool(max(run(largest, parts, threads)) <= (bound * (1 + 1e-6)) ** 2)


def strongly_pivoted(g: Any, chosen: Array, *, bound: float = BOUND, kept: int = 0) -> Array:
    """Return the choice after all exchanges that raise the volume by more than `bound`.

    Parameters
    ----------
    g : array, shape (l, n)
    chosen : numpy.ndarray
        Indices of linearly independent columns, at most l.
    bound : float
        f, at least 1.
    kept : int
        The first so many of them stay.

    Returns
    -------
    numpy.ndarray
        As many indices.

    Examples
    --------
    >>> strongly_pivoted(np.array([[1.0, 9.0], [0.0, 0.0]]), np.array([0])).tolist()
    [1]
    """
    xp, n, k = namespace_of(g), int(g.shape[1]), len(chosen)
    chosen = np.array(chosen, dtype=np.int64)
    if k == 0 or kept >= k:
        return chosen
    identity = np.eye(k, dtype=g.dtype) if is_numpy(xp) else xp.eye(k, dtype=g.dtype, device=device_of(g))
    for _ in range(_MOST_EXCHANGES):
        q, r = qr(take(g, chosen, axis=1))  # S1
        within = adjoint(q) @ g
        t = _moduli(solve_triangular(r, within))
        gamma = column_squares(g - q @ within)
        omega = column_squares(adjoint(solve_triangular(r, identity)))
        gain = (t * t + omega[:, None] * gamma[None, :])[kept:, :] * outside(n, chosen, g)
        i, j, largest = largest_entry(gain)
        if not largest > (bound * (1 + 1e-6)) ** 2:  # S2
            break
        chosen[kept + i] = j
    return chosen

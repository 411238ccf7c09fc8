"""The first columns that column-pivoted QR takes of a short, wide matrix, and what they leave of it.

Problem: the same choice as `rnla._xp.pivoting.pivots_of_columns`, for few columns of many, without reading the whole
matrix for every one of them.

What pivoted QR leaves of a column only shrinks, so a column outside a set cannot be the next one while a column of the
set has more left than any outside had when that was last looked at.

S1. The candidates: the columns that have most left, and explicitly what is left of them.
S2. Pivoted QR of the candidates, while the best of them has more left than any column outside.
S3. The new rows of R for all columns, in one product; their squares are subtracted from what is left.  Again from S1.

Where subtracting has cost digits, what is left is computed anew from the columns (as LAPACK does for single ones), so
that choices hinge on rounding no more than there.

Cost: 2 l n k flops for k of n columns of l rows, nearly all of them in a few products, and 4 l c k for c candidates.
Guarantee: the columns of the greedy rule but for ties within rounding.  Tested in
`tests/compression/test_leading_pivots.py`, against LAPACK.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.products import adjoint_product, subtract_product
from rnla._xp.linalg import eps_of
from rnla._xp.pivoting import column_squares
from rnla.config import get_config

__all__ = ["leading_pivots"]

Array = np.ndarray[Any, Any]
_CANDIDATES = 512


def leading_pivots(g: Array, count: int) -> tuple[Array, Array, Array]:
    """Return the first pivots of a NumPy array, the rows of R, and the squared norms of what is left of all columns.

    Parameters
    ----------
    g : numpy.ndarray, shape (l, n)
        Finite.
    count : int
        Of the pivots wanted; there are fewer where the columns that are left are rounding.

    Returns
    -------
    chosen : numpy.ndarray, shape (k,)
    rows : numpy.ndarray, shape (k, n)
        Q^H G: the triangle and what stands beside it, in the order of the columns of G.
    left : numpy.ndarray, shape (n,)
        0 for the columns chosen.

    Examples
    --------
    >>> chosen, rows, left = leading_pivots(np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]]), 2)
    >>> chosen.tolist(), np.abs(rows).tolist(), left.tolist()
    ([2, 1], [[1.0, 0.0, 3.0], [0.0, 2.0, 0.0]], [0.0, 0.0, 0.0])
    """
    work = _Work(g, count)
    while work.more():
        candidates, bound = work.candidates()
        work.join(work.picked(candidates, bound))
    return work.result()


class _Work:
    """What is known so far: Q, as rows of its adjoint, and R for all columns."""

    def __init__(self, g: Array, count: int) -> None:
        height, n = g.shape
        self.base, self.threads = g, get_config().threads
        self.most, self.found, self.fresh = min(count, height, n), 0, 0
        self.q = np.empty((self.most, height), dtype=g.dtype)
        self.r = np.empty((self.most, n), dtype=g.dtype)
        self.chosen = np.empty(self.most, dtype=np.int64)
        self.left = _squares(g)
        self.reference = float(self.left.max(initial=0.0))
        self.level = self.reference * (eps_of(g.dtype) * max(1.0, min(height, n) ** 0.5)) ** 2
        self.digits = eps_of(g.dtype) ** 0.25

    def more(self) -> bool:
        """Whether there is another pivot; what is left is computed anew where that is due."""
        if self.found == self.most:
            return False
        largest = float(self.left.max(initial=0.0))
        if self.found > self.fresh and largest <= self.digits * self.reference:
            new = slice(self.fresh, self.found)
            self.base = self._rest(np.array(self.base, order="C"), self.r[new])
            self.fresh, self.left = self.found, _squares(self.base)
            self.left[self.chosen[: self.found]] = 0
            self.reference = largest = float(self.left.max(initial=0.0))
        return bool(largest > self.level)

    def _rest(self, columns: Array, rows: Array) -> Array:
        """Subtract from columns of the base what the last rows of R stand for, in place."""
        if self.found > self.fresh:
            vectors = np.ascontiguousarray(self.q[self.fresh : self.found].conj().T)
            subtract_product(columns, vectors, rows, self.threads)
        return columns

    def candidates(self) -> tuple[Array, float]:
        """Return the columns that have most left, ascending, and the most that any other has (S1)."""
        n = len(self.left)
        if n <= _CANDIDATES:
            return np.arange(n), -1.0
        order = np.argpartition(self.left, n - _CANDIDATES - 1)
        return np.sort(order[n - _CANDIDATES :]), float(self.left[order[n - _CANDIDATES - 1]])

    def picked(self, candidates: Array, bound: float) -> int:
        """Append pivots among the candidates; return how many (S2)."""
        start = self.found
        e = np.take(self.base, candidates, axis=1)
        e = self._rest(e, np.take(self.r[self.fresh : start], candidates, axis=1))
        squares = _squares(e)
        squares[self.left[candidates] == 0] = 0
        least = max(self.level, self.digits * float(squares.max()))
        made = np.empty((self.most - start, len(candidates)), dtype=e.dtype)
        for step in range(self.most - start):
            j = int(squares.argmax())
            if squares[j] <= self.level or (step > 0 and (squares[j] < bound or squares[j] <= least)):
                return step
            now = start + step
            v = e[:, j] - made[:step, j] @ self.q[start:now].conj()
            v -= (self.q[:now] @ v) @ self.q[:now].conj()
            v /= np.linalg.norm(v)
            self.q[now], self.chosen[now] = v.conj(), candidates[j]
            row = np.matmul(self.q[now], e, out=made[step])
            squares -= row * row if row.dtype.kind != "c" else (row * row.conj()).real
            squares[j] = 0
        return int(self.most - start)

    def join(self, count: int) -> None:
        """Compute the rows of R of new pivots for all columns (S3)."""
        if count == 0:  # what seemed left was rounding
            self.most = self.found
            return
        vectors = np.ascontiguousarray(self.q[self.found : self.found + count].conj().T)
        rows = adjoint_product(self.base, vectors, self.base.dtype, self.threads)
        self.r[self.found : self.found + count] = rows.conj().T
        self.found += count
        self.left = np.maximum(self.left - _squares(rows.T), 0)
        self.left[self.chosen[: self.found]] = 0

    def result(self) -> tuple[Array, Array, Array]:
        """Return what was found."""
        return self.chosen[: self.found], self.r[: self.found], self.left


def _squares(x: Array) -> Array:
    """Return the squared norms of columns, without an array as large as the matrix where it is real."""
    return np.einsum("ij,ij->j", x, x) if x.dtype.kind != "c" else np.asarray(column_squares(x))

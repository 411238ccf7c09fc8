"""The Gram matrix of a tall matrix that comes in blocks of rows, the columns shifted on the way if wanted.

    G = sum over blocks of  (B - 1 c)^H (B - 1 c),     s = sum over blocks of  1^T (B - 1 c)

This is the front: with the compiled kernels each task adds to some columns of G on and above the diagonal, for a
group of rows that stays in the last cache; the plain twin, its specification, is BLAS on tiles of rows.  Tasks are
cut by shape alone and none shares a number with another one.  Sums of single precision blocks are added in double.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled, products
from rnla._kernels.threads import even_ranges, run

__all__ = ["GROUP_BYTES", "GramSum"]

Array = np.ndarray[Any, Any]

GROUP_BYTES = 1 << 24
"""Of rows that all tasks read together."""
_PANEL = 48  # columns of G of a task: whole registers, and enough of them to feed
_TALL, _WIDE, _AHEAD = 64, 512, 32  # as the adjoint product takes its groups, measured for a matrix with itself
_TILE_ROWS = 4096  # of the plain twin
_SHIFT_ROWS = 128  # shifted at a time, so that their sums are taken while they are in cache


class GramSum:
    """A Gram matrix, and column sums, in the making.

    Parameters
    ----------
    n : int
        Columns.
    dtype : numpy.dtype
        Of the blocks: of single or double precision, real or complex.
    shift : numpy.ndarray, shape (n,), optional
        Subtracted from each row, in the dtype of the blocks.  Column sums are made only then.
    group_bytes : int
        Of the rows that are taken together, at most; shifted rows are a copy of as many.

    Examples
    --------
    >>> sum_ = GramSum(2, np.dtype("f8"), np.array([1.0, 0.0]))
    >>> sum_.add(np.array([[1.0, 2.0], [3.0, 2.0]]), 1)
    >>> sum_.gram().tolist(), sum_.sums.tolist()
    ([[4.0, 4.0], [4.0, 8.0]], [2.0, 4.0])
    """

    __slots__ = ("_dtype", "_group_bytes", "_scratch", "_shift", "_total", "sums")

    def __init__(
        self, n: int, dtype: np.dtype[Any], shift: Array | None = None, group_bytes: int = GROUP_BYTES
    ) -> None:
        wide = np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
        columns = n * (2 if dtype.kind == "c" else 1)
        self._dtype, self._shift, self._group_bytes = dtype, shift, group_bytes
        self._total: Array = np.zeros((columns, columns))  # complex: of real and imaginary parts in turn
        self._scratch: Array | None = None
        self.sums = np.zeros(n, dtype=wide)

    def add(self, block: Array, threads: int) -> None:
        """Take in a block of rows, of the dtype said and with contiguous rows."""
        for rows in even_ranges(len(block), -(-block.nbytes // self._group_bytes)):
            group = block[rows]
            if self._shift is not None:
                group = self._shifted(group, self._shift, threads)
            self._add(group, threads)

    def gram(self) -> Array:
        """Return the Gram matrix of all that was added, Hermitian to the bit, in double precision."""
        total = upper = self._total
        if self._dtype.kind == "c":
            pairs = total.view(np.complex128)
            upper = pairs[0::2] - 1j * pairs[1::2]
            # A real part is needed whole where only its half above the diagonal was made.
            diagonal = np.einsum("ii->i", upper)
            diagonal[:] = np.einsum("ii->i", total)[0::2] + np.einsum("ii->i", total)[1::2]
        out: Array = np.where(np.tri(len(upper), k=-1, dtype=bool), upper.conj().T, upper)
        return out

    def finite(self) -> bool:
        """Whether no entry so far was NaN or infinite, or too large to be squared."""
        return bool(np.isfinite(np.einsum("ii->i", self._total)).all())

    def _shifted(self, group: Array, shift: Array, threads: int) -> Array:
        """Return rows less the shift, and add them to the column sums."""
        if self._scratch is None or len(self._scratch) < len(group):
            self._scratch = None  # given back before there is another one
            self._scratch = np.empty(group.shape, dtype=self._dtype)
        out = self._scratch[: len(group)]

        def task(rows: slice) -> Array:
            np.subtract(group[rows], shift, out=out[rows])
            total: Array = np.ones(len(out[rows]), dtype=self._dtype) @ out[rows]  # BLAS, for its speed
            return total

        for one in run(task, even_ranges(len(group), -(-len(group) // _SHIFT_ROWS)), threads):
            self.sums += one
        return out

    def _add(self, group: Array, threads: int) -> None:
        a = group.view(group.real.dtype) if self._dtype.kind == "c" else group
        m, n = a.shape
        kernels = compiled.family(products.FAMILY, self._dtype)
        if kernels is None:
            for one in run(lambda rows: a[rows].T @ a[rows], even_ranges(m, -(-m // _TILE_ROWS)), threads):
                self._total += one
            return
        direct = a.dtype == self._total.dtype
        out = self._total if direct else np.zeros((n, n), dtype=a.dtype)
        size, stride = a.itemsize, a.strides[0] // a.itemsize if m > 1 else n
        like, here, there = a.dtype.type(0), a.ctypes.data, out.ctypes.data

        def task(first: int) -> None:
            last = min(first + _PANEL, n)
            kernels.adjoint(
                like, size, here, stride, m, last, here + first * size, stride, last - first, there + first * size, n,
                int(direct), _TALL, _WIDE, _AHEAD, 1,
            )  # fmt: skip

        run(task, range(0, n, _PANEL)[::-1], threads)  # the longest first
        if not direct:
            self._total += out

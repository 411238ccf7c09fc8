"""Products of a large Hermitian NumPy array with a thin one, each half of it read from memory once.

This is the front: the compiled kernels where they pay, else `products.product`, which reads all of A: their plain
twin and specification, since for a Hermitian matrix the two differ in rounding only.

Tasks are ranges of rows of equal area on and right of the diagonal, cut by shape alone.  Each sets its own rows of
A X, and has sums of its own for what its entries, mirrored, add to the rows below; these are added in order.

A complex matrix is seen as a real one with real and imaginary parts in turn (`tiled_products`): the sums below are
then those over real and over imaginary parts.  One whose columns are contiguous is the conjugate of one whose rows
are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.aligned import aligned_empty
from rnla._kernels.products import product, readable_in_place
from rnla._kernels.threads import even_ranges, run
from rnla._kernels.tiled_products import has_contiguous_rows

__all__ = ["FAMILY", "SymmetricRows"]

Array = np.ndarray[Any, Any]

FAMILY = "symmetry"
"""The name of the kernels."""
_WORTH_HALVING = 1 << 23  # bytes of A; smaller ones stay in a cache from one product to the next
_FEW, _MANY = 3, 6  # columns; registers of columns, beyond which the arithmetic costs more than reading A
_ROWS, _DEPTH = 64, 256  # of a tile, which is used twice
_BEFORE = 16  # entries ahead that A X fetches; the product with the transpose fetches the next tile
_PARTS = 8
_SUMMED = 8  # ranges of rows that sums are added in


class SymmetricRows:
    """A Hermitian array, and room for the sums of its products, which is used again.

    Parameters
    ----------
    a : numpy.ndarray, shape (n, n)
        Hermitian to rounding; the kernels read only its part on and right of the diagonal, of the rows as they lie in
        memory, where A is large.
    dtype : numpy.dtype
    """

    __slots__ = ("_large", "_ranges", "_room", "a", "dtype")

    def __init__(self, a: Array, dtype: np.dtype[Any]) -> None:
        self.a, self.dtype = a, dtype
        self._large = a.nbytes >= _WORTH_HALVING and dtype.char in "fdFD" and readable_in_place(a, dtype)
        self._room: list[Array] = []
        self._ranges = _equal_areas(len(a), _PARTS)

    def product(self, x: Array, threads: int) -> Array:
        """Return A X, C-ordered."""
        kernels = compiled.family(FAMILY, self.dtype) if self._large else None
        real = self.dtype.itemsize // (2 if self.dtype.kind == "c" else 1)
        wide = x.shape[1] * self.dtype.itemsize
        if kernels is None or x.shape[1] <= _FEW or wide > _MANY * kernels.VECTOR_BYTES:
            return product(self.a, x, self.dtype, threads)
        x = np.ascontiguousarray(x, dtype=self.dtype)
        if has_contiguous_rows(self.a):
            return self._product(kernels, self.a, x, real, threads)
        if self.dtype.kind != "c":
            return self._product(kernels, self.a.T, x, real, threads)
        out = self._product(kernels, self.a.T, np.conj(x), real, threads)
        return np.conj(out, out=out)

    def _product(self, kernels: Any, rows: Array, x: Array, size: int, threads: int) -> Array:
        pair = self.dtype.itemsize // size
        n, k = x.shape[0], x.shape[1] * pair
        a, thin = rows.view(rows.real.dtype), x.view(x.real.dtype)
        doubled = thin
        if pair == 2:
            turned = np.empty((n, 2, x.shape[1]), dtype=self.dtype)
            turned[:, 0], turned[:, 1] = x, x * self.dtype.type(1j)
            doubled = turned.view(thin.dtype).reshape(2 * n, k)
        out = aligned_empty((n, x.shape[1]), self.dtype)
        y = out.view(thin.dtype)
        firsts = [min(part.start + _ROWS, part.stop) for part in self._ranges]
        lengths = [(n - first) * pair * k for first in firsts]
        room = self._taken(sum(lengths), thin.dtype)
        begins = np.cumsum([0, *lengths[:-1]])
        where = room.ctypes.data + begins * size
        like = thin.dtype.type(0)

        def task(i: int) -> None:
            part = self._ranges[i]
            kernels.mirrored(
                like, size, a.ctypes.data, rows.strides[0] // size, part.start, part.stop, n * pair, pair,
                doubled.ctypes.data, k, thin.ctypes.data, k, k, y.ctypes.data, k, int(where[i]), k,
                _ROWS, _DEPTH, _BEFORE, _DEPTH, 1,
            )  # fmt: skip

        run(task, range(len(self._ranges)), threads)
        if pair == 2:
            for first, begin, length in zip(firsts, begins, lengths, strict=True):
                out[first:] += _conjugated(room[begin : begin + length], x.shape[1], self.dtype)
        else:
            starts = np.array(firsts)

            def add(part: slice) -> None:
                kernels.added(
                    like, y.ctypes.data, where.ctypes.data, starts.ctypes.data, len(firsts), part.start, part.stop, k
                )

            run(add, even_ranges(n, _SUMMED), threads)
        self._room.append(room)
        return out

    def _taken(self, entries: int, dtype: np.dtype[Any]) -> Array:
        """Return room for sums: that of the last product, if no other thread has it now and it is large enough."""
        try:
            room = self._room.pop()
        except IndexError:
            return aligned_empty((entries,), dtype)
        return room if len(room) >= entries else aligned_empty((entries,), dtype)


def _equal_areas(n: int, parts: int) -> list[slice]:
    """Cut the rows of a triangle, whose first row is the longest, in ranges of about equal area."""
    cuts = [0]
    for i in range(1, parts):
        cut = round(n * (1 - math.sqrt(1 - i / parts)) / _ROWS) * _ROWS
        if cuts[-1] < cut < n:
            cuts.append(cut)
    return [slice(low, high) for low, high in zip(cuts, [*cuts[1:], n], strict=True)]


def _conjugated(sums: Array, columns: int, dtype: np.dtype[Any]) -> Array:
    """Return sums over real parts less i times those over imaginary parts."""
    pairs = sums.view(dtype).reshape(-1, 2, columns)
    out: Array = pairs[:, 0] - dtype.type(1j) * pairs[:, 1]
    return out

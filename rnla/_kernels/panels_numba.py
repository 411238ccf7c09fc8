"""Gram matrices of panels and products with triangles in place by register tiles: what `panels` does, compiled.

A panel has contiguous rows; arrays come as addresses and strides in entries, and every function works serially and
without the GIL.  `like` is a zero of the entries' type; `width` columns are one group of registers and no more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rnla._kernels.microkernel import VECTOR_BYTES, at
from rnla._kernels.products_numba import _block

__all__ = ["SMALL", "VECTOR_BYTES", "conditioned", "gram", "multiplied", "swept", "warm"]

SMALL = 8
"""Columns of the blocks of a triangle whose inverses `conditioned` multiplies with."""


@njit(nogil=True, cache=True)
def gram(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, z: Any, ldz: Any, add: Any, rows: Any, width: Any,
         one: Any) -> None:  # fmt: skip
    """Set (or add to) the blocks of Z = A^T A on and above the diagonal, `width` columns at a time."""
    for i in range(0, m, rows):
        here = a + i * lda * size
        for j in range(0, n, width):
            w = min(width, n - j)
            _block(like, size, here, one, lda, j + w, min(rows, m - i), here + j * size, lda, z + j * size, ldz, w,
                   add if i == 0 else 1, 0)  # fmt: skip


@njit(nogil=True, cache=True)
def multiplied(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, b: Any, ldb: Any, c: Any, ldc: Any,
               z: Any, ldz: Any, rows: Any, width: Any, one: Any) -> None:  # fmt: skip
    """C = A B for an upper triangle B, and, unless `ldz` is 0, the Gram matrix of C; C may be A.

    A register tile reads its rows of A before it writes them, and the columns that later tiles read lie to the left:
    hence from right to left.
    """
    groups = (n - 1) // width
    for i in range(0, m, rows):
        ii = min(rows, m - i)
        there = c + i * ldc * size
        for g in range(groups, -1, -1):
            j = g * width
            w = min(width, n - j)
            _block(like, size, a + i * lda * size, lda, one, ii, j + w, b + j * size, ldb, there + j * size, ldc, w, 0,
                   0)  # fmt: skip
        if ldz != 0:
            gram(like, size, there, ldc, ii, n, z, ldz, 0 if i == 0 else 1, rows, width, one)


@njit(nogil=True, cache=True)
def conditioned(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, t: Any, ldt: Any, c: Any, ldc: Any,
                z: Any, ldz: Any, rows: Any, width: Any, one: Any) -> None:  # fmt: skip
    """C = A R^{-1} by substitution in blocks, and, unless `ldz` is 0, the Gram matrix of C.

    T is -R but for its blocks of `SMALL` columns on the diagonal, which are the inverses of those of R.
    """
    for i in range(0, m, rows):
        ii = min(rows, m - i)
        there = c + i * ldc * size
        source, target = at(like, a, i * lda), at(like, there, 0)
        for r in range(ii):
            for j in range(n):
                target[r * ldc + j] = source[r * lda + j]
        for j in range(0, n, width):
            w = min(width, n - j)
            panel, corner = there + j * size, t + (j * ldt + j) * size
            if j > 0:
                _block(like, size, there, ldc, one, ii, j, t + j * size, ldt, panel, ldc, w, 1, 0)
            for s in range(0, w, SMALL):
                v = min(SMALL, w - s)
                if s > 0:
                    _block(like, size, panel, ldc, one, ii, s, corner + s * size, ldt, panel + s * size, ldc, v, 1, 0)
                _block(like, size, panel + s * size, ldc, one, ii, v, corner + (s * ldt + s) * size, ldt,
                       panel + s * size, ldc, v, 0, 0)  # fmt: skip
        if ldz != 0:
            gram(like, size, there, ldc, ii, n, z, ldz, 0 if i == 0 else 1, rows, width, one)


@njit(nogil=True, cache=True)
def swept(like: Any, size: Any, b: Any, ldb: Any, n: Any, before: Any, x: Any, ldx: Any, m: Any, k: Any, c: Any,
          ldc: Any, t: Any, ldt: Any, q: Any, ldq: Any, step: Any, z: Any, ldz: Any, g: Any, ldg: Any, rows: Any,
          width: Any, one: Any) -> None:  # fmt: skip
    """Q = (X + B C) T, Z = B^T Q and G = Q^T Q, group of rows by group of rows, each read from memory once.

    C has rows for the columns of B from `before` on.  What has the stride 0 of C, T, Z and G is left out; Q may be X,
    and is where both C and T are left out.  The rows of Q are `step` numbers apart from one group to the next: with 0
    they are not kept.
    """
    for i in range(0, m, rows):
        ii = min(rows, m - i)
        tied, source, stride, here = b + i * ldb * size, x + i * ldx * size, ldx, q + i * step * size
        if ldc != 0:
            if here != source:
                given, taken = at(like, source, 0), at(like, here, 0)
                for r in range(ii):
                    for j in range(k):
                        taken[r * ldq + j] = given[r * ldx + j]
            _block(like, size, tied + before * size, ldb, one, ii, n - before, c, ldc, here, ldq, k, 1, 0)
            source, stride = here, ldq
        if ldt != 0:
            for s in range((k - 1) // width, -1, -1):
                j = s * width
                w = min(width, k - j)
                _block(like, size, source, stride, one, ii, j + w, t + j * size, ldt, here + j * size, ldq, w, 0, 0)
        if ldz != 0:
            _block(like, size, tied, one, ldb, n, ii, here, ldq, z, ldz, k, 0 if i == 0 else 1, 0)
        if ldg != 0:
            gram(like, size, here, ldq, ii, k, g, ldg, 0 if i == 0 else 1, rows, width, one)


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    like, size = dtype.type(0), dtype.itemsize
    a = np.ones((1, 1), dtype)
    here = a.ctypes.data
    gram(like, size, here, 1, 0, 1, here, 1, 0, 8, 8, 1)
    multiplied(like, size, here, 1, 0, 1, here, 1, here, 1, here, 1, 8, 8, 1)
    conditioned(like, size, here, 1, 0, 1, here, 1, here, 1, here, 1, 8, 8, 1)
    swept(like, size, here, 1, 0, 0, here, 1, 0, 1, here, 1, here, 1, here, 1, 1, here, 1, here, 1, 8, 8, 1)

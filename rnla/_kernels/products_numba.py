"""Products of a large dense array with a thin one by register tiles: what `products` does, compiled.

Every function takes addresses and strides in entries, works on what it is given serially and without the GIL, and
wants the thin arrays as wide as a whole number of vector registers.  `like` is a zero of the entries' type.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rnla._kernels.microkernel import ONE, ROWS, VECTOR_BYTES, at, squares, tile

__all__ = ["VECTOR_BYTES", "adjoint", "multiply", "normal", "warm"]

_MR = len(ROWS)
_V1, _V2, _V3 = (0,), (0, 0), (0, 0, 0)
_FULL, _MASKED = (), (0,)


@njit(nogil=True, cache=True)
def _strip(like: Any, a: Any, si: Any, sp: Any, rows: Any, depth: Any, b: Any, ldb: Any, c: Any, ldc: Any, add: Any,
           ahead: Any, last: Any, vectors: Any, masked: Any) -> None:  # fmt: skip
    """Set (or add to) the columns of C under one group of registers."""
    whole = rows // _MR * _MR
    for r in range(0, whole, _MR):
        tile(at(like, a, r * si), si, sp, at(like, b, 0), ldb, depth, at(like, c, r * ldc), ldc, add, ahead, last, ROWS,
             vectors, masked)  # fmt: skip
    for r in range(whole, rows):
        tile(at(like, a, r * si), si, sp, at(like, b, 0), ldb, depth, at(like, c, r * ldc), ldc, add, ahead, last, ONE,
             vectors, masked)  # fmt: skip


@njit(nogil=True, cache=True)
def _block(like: Any, size: Any, a: Any, si: Any, sp: Any, rows: Any, depth: Any, b: Any, ldb: Any, c: Any, ldc: Any,
           k: Any, add: Any, ahead: Any) -> None:  # fmt: skip
    """C[rows x k] (+)= op(A)[rows x depth] B[depth x k], three registers of columns at a time."""
    lanes = VECTOR_BYTES // size
    done = 0
    while done < k:
        left = k - done
        o = done * size
        if left > 4 * lanes or left == 3 * lanes:
            _strip(like, a, si, sp, rows, depth, b + o, ldb, c + o, ldc, add, ahead, lanes, _V3, _FULL)
            done += 3 * lanes
        elif left > 3 * lanes:  # two and two, rather than three and one
            _strip(like, a, si, sp, rows, depth, b + o, ldb, c + o, ldc, add, ahead, lanes, _V2, _MASKED)
            done += 2 * lanes
        elif left > 2 * lanes:
            _strip(like, a, si, sp, rows, depth, b + o, ldb, c + o, ldc, add, ahead, left - 2 * lanes, _V3, _MASKED)
            done = k
        elif left > lanes:
            _strip(like, a, si, sp, rows, depth, b + o, ldb, c + o, ldc, add, ahead, left - lanes, _V2, _MASKED)
            done = k
        else:
            _strip(like, a, si, sp, rows, depth, b + o, ldb, c + o, ldc, add, ahead, left, _V1, _MASKED)
            done = k


@njit(nogil=True, cache=True)
def multiply(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, x: Any, ldx: Any, k: Any, y: Any, ldy: Any,
             add: Any, rows: Any, depth: Any, one: Any) -> None:  # fmt: skip
    """Y (+)= A X by groups of `rows` rows and `depth` columns of A."""
    for i in range(0, m, rows):
        ii = min(rows, m - i)
        for p in range(0, n, depth):
            _block(like, size, a + (i * lda + p) * size, lda, one, ii, min(depth, n - p), x + p * ldx * size, ldx,
                   y + i * ldy * size, ldy, k, add if p == 0 else 1, 0)  # fmt: skip


@njit(nogil=True, cache=True)
def adjoint(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, y: Any, ldy: Any, k: Any, z: Any, ldz: Any,
            add: Any, rows: Any, columns: Any, ahead: Any, one: Any) -> None:  # fmt: skip
    """Z (+)= A^T Y by groups of `rows` rows and `columns` columns of A."""
    for j in range(0, n, columns):
        jj = min(columns, n - j)
        for i in range(0, m, rows):
            _block(like, size, a + (i * lda + j) * size, one, lda, jj, min(rows, m - i), y + i * ldy * size, ldy,
                   z + j * ldz * size, ldz, k, add if i == 0 else 1, ahead)  # fmt: skip


@njit(nogil=True, cache=True)
def normal(like: Any, size: Any, a: Any, lda: Any, m: Any, n: Any, x: Any, ldx: Any, k: Any, y: Any, ldy: Any,
           z: Any, ldz: Any, total: Any, rows: Any, depth: Any, ahead: Any, one: Any) -> None:  # fmt: skip
    """Y = A X and Z = A^T Y, group of rows by group of rows, each read from memory once.

    The sum of the squares of A is stored at the address `total`, unless that is 0.
    """
    seen = 0.0
    for i in range(0, m, rows):
        ii = min(rows, m - i)
        here = a + i * lda * size
        there = y + i * ldy * size
        for p in range(0, n, depth):
            _block(like, size, here + p * size, lda, one, ii, min(depth, n - p), x + p * ldx * size, ldx, there, ldy, k,
                   0 if p == 0 else 1, 0)  # fmt: skip
        if total != 0:
            for r in range(ii):
                seen += squares(at(like, here, r * lda), n)
        _block(like, size, here, one, lda, n, ii, there, ldy, z, ldz, k, 0 if i == 0 else 1, ahead)
    if total != 0:
        at(0.0, total, 0)[0] = seen


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    like, size = dtype.type(0), dtype.itemsize
    a = np.zeros((1, 1), dtype)
    here = a.ctypes.data
    multiply(like, size, here, 1, 0, 0, here, 1, 1, here, 1, 0, 8, 8, 1)
    adjoint(like, size, here, 1, 0, 0, here, 1, 1, here, 1, 0, 8, 8, 0, 1)
    normal(like, size, here, 1, 0, 0, here, 1, 1, here, 1, here, 1, 0, 8, 8, 0, 1)

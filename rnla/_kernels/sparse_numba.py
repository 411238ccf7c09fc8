"""Products of sparse matrices in CSR with thin arrays, and their transposition: `sparse_products`, compiled.

Every function takes addresses and strides in numbers of the real dtype, works serially on the rows or the entries it
is given, and without the GIL.  `like` is a zero of the real dtype of the entries, `index` one of the columns' type;
the pointers to the rows are of int64, and count entries from the beginning of the matrix.  Tuples are given for their
lengths: `parts` holds two things where entries are complex.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rnla._kernels.microkernel import VECTOR_BYTES, at
from rnla._kernels.sparse_row import fetch, sparse_row

__all__ = ["VECTOR_BYTES", "count", "fill", "multiply", "warm"]

_WIDEST = 6  # registers of a row at once: what is left of 16 holds a complex row too
_V1, _V2, _V3, _V4, _V5, _V6 = (0,), (0,) * 2, (0,) * 3, (0,) * 4, (0,) * 5, (0,) * 6
_REAL, _COMPLEX = (0,), (0, 0)


@njit(nogil=True, cache=True)
def _rows(like: Any, index: Any, pointers: Any, columns: Any, entries: Any, end: Any, m: Any, x: Any, ldx: Any,
          y: Any, ldy: Any, ahead: Any, tail: Any, turn: Any, vectors: Any, parts: Any) -> None:  # fmt: skip
    """Set the columns of Y under one group of registers."""
    where = at(np.int64(0), pointers, 0)
    first = where[0]
    for i in range(m):
        stop = where[i + 1]
        sparse_row(at(index, columns, 0), at(like, entries, 0), first, stop, end, ahead, at(like, x, 0), ldx,
                   at(like, y, i * ldy), tail, turn, vectors, parts)  # fmt: skip
        first = stop


@njit(nogil=True, cache=True)
def multiply(like: Any, index: Any, size: Any, pointers: Any, columns: Any, entries: Any, end: Any, m: Any, x: Any,
             ldx: Any, k: Any, y: Any, ldy: Any, ahead: Any, turn: Any, parts: Any) -> None:  # fmt: skip
    """Y = A X for m rows of A, in groups of nearly equally many registers; `k` numbers to a row of X."""
    lanes = VECTOR_BYTES // size
    registers = (k + lanes - 1) // lanes
    groups = (registers + _WIDEST - 1) // _WIDEST
    done = 0
    for g in range(groups):
        n = registers * (g + 1) // groups - registers * g // groups
        o = done * size
        tail = min(lanes, k - done - (n - 1) * lanes)
        if n == 1:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V1, parts
            )
        elif n == 2:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V2, parts
            )
        elif n == 3:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V3, parts
            )
        elif n == 4:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V4, parts
            )
        elif n == 5:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V5, parts
            )
        else:
            _rows(
                like, index, pointers, columns, entries, end, m, x + o, ldx, y + o, ldy, ahead, tail, turn, _V6, parts
            )
        done += n * lanes


@njit(nogil=True, cache=True)
def count(index: Any, columns: Any, first: Any, stop: Any, counts: Any) -> None:
    """Add to the counts of the columns how many of the entries from `first` to before `stop` lie in each."""
    column, found = at(index, columns, 0), at(index, counts, 0)
    for j in range(first, stop):
        found[column[j]] += 1


@njit(nogil=True, cache=True)
def fill(like: Any, index: Any, pointers: Any, columns: Any, entries: Any, first: Any, last: Any, spots: Any, rows: Any,
         out: Any, ahead: Any, parts: Any) -> None:  # fmt: skip
    """Write the entries of rows `first` to `last` of A where the spots of their columns say, which move on."""
    where, column, spot = at(np.int64(0), pointers, 0), at(index, columns, 0), at(index, spots, 0)
    row, given, taken = at(index, rows, 0), at(like, entries, 0), at(like, out, 0)
    final = where[last] - 1
    for i in range(first, last):
        for j in range(where[i], where[i + 1]):
            later = spot[column[min(j + ahead, final)]]
            fetch(at(index, rows, later))
            fetch(at(like, out, later * len(parts)))
            c = column[j]
            p = spot[c]
            spot[c] = p + 1
            row[p] = i
            for part in range(len(parts)):
                taken[p * len(parts) + part] = given[j * len(parts) + part]


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    like, size = dtype.type(0), dtype.itemsize
    nothing = np.zeros(2)
    here = nothing.ctypes.data
    for index in (np.int32(0), np.int64(0)):
        count(index, here, 0, 0, here)
        for parts in (_REAL, _COMPLEX):
            multiply(like, index, size, here, here, here, 0, 0, here, 1, 1, here, 1, 0, like, parts)
            fill(like, index, here, here, here, 0, 0, here, here, here, 0, parts)

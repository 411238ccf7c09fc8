"""Outliers replaced by a low-rank model, a row at a time in the first cache: what `thresholding` does, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rnla._kernels.microkernel import VECTOR_BYTES, at
from rnla._kernels.scatter_numba import fetch_line

__all__ = ["CHUNK", "SLOTS", "VECTOR_BYTES", "replace", "warm"]

CHUNK = 256
"""Columns that are worked on at a time."""
SLOTS = 6
"""Buffers of that length: the model, then what is taken from A, then four tallies for each lane."""
_AHEAD = 4  # rows whose picked entries are asked for: columns of a cross a quarter faster
_LINE = 64  # bytes


@njit(nogil=True, cache=True)
def replace(
    like: Any, size: Any, a: Any, lda: Any, k: Any, n: Any, rows: Any, columns: Any, picked_rows: Any,
    picked_columns: Any, left: Any, r: Any, right: Any, ldr: Any, threshold: Any, out: Any, ldo: Any, work: Any,
    tally: Any,
) -> None:  # fmt: skip
    """Set OUT (k, n) to A where abs(A - L) < threshold, else to L, with L = LEFT (k, r) RIGHT (r, n).

    Where `picked_rows` (`picked_columns`) is not 0, the rows (columns) of A are those with the given numbers.  TALLY
    takes the sum of squares of what is clean, that of OUT, the number of outliers, the largest abs(A - L).  An entry
    has `size` bytes.
    """
    model, taken = at(like, work, 0), at(like, work, CHUNK)
    clean, whole = at(like, work, 2 * CHUNK), at(like, work, 3 * CHUNK)
    beyond, largest = at(like, work, 4 * CHUNK), at(like, work, 5 * CHUNK)
    which, where = at(np.int64(0), rows, 0), at(np.int64(0), columns, 0)
    for j in range(4 * CHUNK):
        clean[j] = 0
    for i in range(k):
        row = which[i] if picked_rows != 0 else i
        weights = at(like, left, i * r)
        for start in range(0, n, CHUNK):
            width = min(CHUNK, n - start)
            source, target = at(like, a, row * lda + start), at(like, out, i * ldo + start)
            if picked_columns != 0:
                if i + _AHEAD < k:
                    ahead = which[i + _AHEAD] if picked_rows != 0 else i + _AHEAD
                    for j in range(width):
                        fetch_line(a + (ahead * lda + where[start + j]) * size)
                whole_row = at(like, a, row * lda)
                for j in range(width):
                    taken[j] = whole_row[where[start + j]]
                source = at(like, work, CHUNK)
            elif i + 1 < k:  # rows lie apart: whole ones a fifth faster
                following = which[i + 1] if picked_rows != 0 else i + 1
                for j in range(0, width * size, _LINE):
                    fetch_line(a + (following * lda + start) * size + j)
            if r % 4 == 0:
                for j in range(width):
                    model[j] = 0
            for p in range(r % 4):
                weight, line = weights[p], at(like, right, p * ldr + start)
                if p == 0:
                    for j in range(width):
                        model[j] = weight * line[j]
                else:
                    for j in range(width):
                        model[j] += weight * line[j]
            for p in range(r % 4, r, 4):  # four lines at a time, so that the sums are written a quarter as often
                one, two, three, four = weights[p], weights[p + 1], weights[p + 2], weights[p + 3]
                first, second = at(like, right, p * ldr + start), at(like, right, (p + 1) * ldr + start)
                third, fourth = at(like, right, (p + 2) * ldr + start), at(like, right, (p + 3) * ldr + start)
                for j in range(width):
                    model[j] += one * first[j] + two * second[j] + three * third[j] + four * fourth[j]
            for j in range(width):
                value, guess = source[j], model[j]
                gap = abs(value - guess)
                outlier = gap >= threshold
                kept = guess if outlier else value
                target[j] = kept
                model[j] = gap
                taken[j] = kept
            for j in range(width):
                gap, value = model[j], taken[j]
                outlier = gap >= threshold
                clean[j] += like if outlier else gap * gap
                whole[j] += value * value
                beyond[j] += like + 1 if outlier else like
                largest[j] = max(largest[j], gap)
    sums = at(np.float64(0), tally, 0)
    for j in range(CHUNK):
        sums[0] += clean[j]
        sums[1] += whole[j]
        sums[2] += beyond[j]
        sums[3] = max(sums[3], np.float64(largest[j]))


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    here, work, tally = np.zeros(1, dtype).ctypes.data, np.empty(SLOTS * CHUNK, dtype), np.zeros(4)
    index = np.zeros(1, np.int64).ctypes.data
    replace(
        dtype.type(0), dtype.itemsize, here, 1, 1, 1, index, index, 0, 0, here, 1, here, 1, dtype.type(1), here, 1,
        work.ctypes.data, tally.ctypes.data,
    )  # fmt: skip

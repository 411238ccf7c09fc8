"""Squared distances from differences, a row at a time in the first cache: what `distances` does, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from rnla._kernels.microkernel import VECTOR_BYTES, at

__all__ = ["VECTOR_BYTES", "squares", "warm"]


@njit(nogil=True, cache=True)
def squares(like: Any, x: Any, ldx: Any, m: Any, y: Any, n: Any, d: Any, out: Any) -> None:
    """Set OUT (m, n) to the squared distances of the rows of X (m, d) from the columns of Y (d, n)."""
    for i in range(m):
        row, point = at(like, out, i * n), at(like, x, i * ldx)
        first, columns = point[0], at(like, y, 0)
        for j in range(n):
            gap = first - columns[j]
            row[j] = gap * gap
        for axis in range(1, d):
            value, columns = point[axis], at(like, y, axis * n)
            for j in range(n):
                gap = value - columns[j]
                row[j] += gap * gap


def warm(dtype: Any) -> None:
    """Compile for one real dtype, or load what was compiled before."""
    here = np.zeros(1, dtype).ctypes.data
    squares(dtype.type(0), here, 1, 0, here, 1, 1, here)

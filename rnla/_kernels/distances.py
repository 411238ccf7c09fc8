"""Squared distances of points of few dimensions, summed from differences: compiled, or by NumPy, to the same bits.

NumPy makes two arrays of the size of the result for each dimension; the kernel keeps a row in the first cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled

__all__ = ["squared_distances"]

Array = np.ndarray[Any, Any]

FAMILY = "distances"
"""The name of the kernels."""


def squared_distances(x: Array, y: Array) -> Array:
    """Return norm(x_i - y_j)^2 for every pair of rows; at least one dimension."""
    kernels = compiled.family(FAMILY, x.dtype) if x.dtype.char in "fd" and x.dtype == y.dtype else None
    if kernels is None or not (
        x.dtype.isnative and x.flags.aligned and (x.shape[1] == 1 or x.strides[1] == x.itemsize)
    ):
        return _plain(x, y)
    columns = np.ascontiguousarray(y.T)
    m, d = x.shape
    out = np.empty((m, len(y)), dtype=x.dtype)
    step = x.strides[0] // x.itemsize
    if step * x.itemsize != x.strides[0]:
        return _plain(x, y)
    kernels.squares(x.dtype.type(0), x.ctypes.data, step, m, columns.ctypes.data, len(y), d, out.ctypes.data)
    return out


def _plain(x: Array, y: Array) -> Array:
    total = np.zeros((len(x), len(y)), dtype=np.result_type(x, y))
    for axis in range(x.shape[1]):
        gap = x[:, axis, None] - y[None, :, axis]
        gap *= gap
        total += gap
    return total

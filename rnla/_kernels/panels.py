"""Gram matrices of panels, and panels times triangles or their inverses, over the pool.

This is the front: the compiled kernels where the call may use them, else the plain twins, BLAS on tiles of rows,
which are their specification.  Where a panel is multiplied (or divided) by a triangle and the Gram matrix of the
result is wanted, the rows serve both while they stand in the cache.  Tasks are cut by shape alone; each has sums of
its own, which are added in order, in float64 also where a tile is multiplied in single precision.

A complex panel is a real one with real and imaginary parts in turn: the kernels multiply it with a triangle whose
rows are those of B and of i B in turn, and make of it the Gram matrix of all these columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.threads import even_ranges, run
from rnla._kernels.tiled_products import has_contiguous_rows

__all__ = ["gram", "times_inverse", "times_triangle"]

Array = np.ndarray[Any, Any]

FAMILY = "panels"
"""The name of the kernels."""
_TILE_ROWS = 4096  # multiplied in the panel's own precision before they are added in double precision
_GROUP_BYTES = 1 << 18  # of rows that stay in the cache from one product to the next
_WORTH_A_KERNEL = 50_000  # multiply-adds
_PARTS = 16
_WELL_CONDITIONED = 32.0  # |R^{-1}| |R| at most, for columns of norm 1: so much the residual of a row may grow
_WORTH_A_POOL = 12_000_000  # multiply-adds
_SUMS_BYTES = 1 << 26  # of the sums of all tasks together
_MAX_WORK = 2_000_000_000


class _Plan:
    """How a panel is cut: in tasks, and within them in tiles and in groups of rows."""

    __slots__ = ("group", "ranges", "step")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        m, n = shape
        columns = n * (2 if dtype.kind == "c" else 1)
        size = dtype.itemsize * n // max(1, columns)
        work = m * columns * columns
        parts = 1
        if work >= _WORTH_A_POOL:
            parts = max(2, min(_PARTS, m // 256, _SUMS_BYTES // (8 * columns * columns)))
        self.ranges = even_ranges(m, max(parts, -(-work // _MAX_WORK)))
        self.step = _TILE_ROWS if size == 4 else m
        self.group = max(64, min(512, _GROUP_BYTES // max(1, columns * size) // 8 * 8))


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def _real(a: Array) -> Array:
    return a.view(a.real.dtype) if a.dtype.kind == "c" else a


def _doubled(triangle: Array) -> Array:
    """Return the rows of B, or of B and of i B in turn where it is complex, as real numbers."""
    if triangle.dtype.kind != "c":
        return np.ascontiguousarray(triangle)
    rows = np.empty((triangle.shape[0], 2, triangle.shape[1]), dtype=triangle.dtype)
    rows[:, 0], rows[:, 1] = triangle, triangle * triangle.dtype.type(1j)
    return _real(rows.reshape(-1, triangle.shape[1]))


def _stride(a: Array) -> int:
    return a.strides[0] // a.itemsize if a.shape[0] > 1 else a.shape[1]


def _plain_gram(x: Array, threads: int) -> Array:
    return _hermitian(_added(run(lambda rows: _plain_sums(x, rows), _Plan(x.shape, x.dtype).ranges, threads)))


def _plain_map(change: Any, x: Array, out: Array, threads: int, squared: bool) -> Array | None:
    def task(rows: slice) -> Array | None:
        for start in range(rows.start, rows.stop, _TILE_ROWS):
            part = slice(start, min(start + _TILE_ROWS, rows.stop))
            out[part] = change(x[part])
        return _plain_sums(out, rows) if squared else None

    sums = run(task, _Plan(x.shape, x.dtype).ranges, threads)
    return _hermitian(_added(sums)) if squared else None


def _solved(tile: Array, triangle: Array) -> Array:
    import scipy.linalg

    solved = scipy.linalg.solve_triangular(triangle.conj().T, tile.conj().T, lower=True, check_finite=False)
    return np.asarray(solved.conj().T)

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


def wide_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def real_view(a: Array) -> Array:
    return a.view(a.real.dtype) if a.dtype.kind == "c" else a


def doubled(triangle: Array) -> Array:
    """Return the rows of B, or of B and of i B in turn where it is complex, as real numbers."""
    if triangle.dtype.kind != "c":
        return np.ascontiguousarray(triangle)
    rows = np.empty((triangle.shape[0], 2, triangle.shape[1]), dtype=triangle.dtype)
    rows[:, 0], rows[:, 1] = triangle, triangle * triangle.dtype.type(1j)
    return real_view(rows.reshape(-1, triangle.shape[1]))


def row_stride(a: Array) -> int:
    return a.strides[0] // a.itemsize if a.shape[0] > 1 else a.shape[1]


def _added(sums: list[Array]) -> Array:
    total = sums[0]
    for term in sums[1:]:
        total += term
    return total


def joined_gram(total: Array, dtype: np.dtype[Any]) -> Array:
    """Return the Gram matrix of the kernels' sums, which are those of real and imaginary parts in turn."""
    if dtype.kind != "c":
        return hermitian(total)
    pairs = total.view(np.complex128)
    return hermitian(pairs[0::2] - 1j * pairs[1::2])


def hermitian(total: Array) -> Array:
    """Return the Hermitian matrix with what stands on and above the diagonal."""
    out: Array = np.where(np.tri(len(total), k=-1, dtype=bool), total.conj().T, total)
    if out.dtype.kind == "c":
        np.einsum("ii->i", out).imag[:] = 0
    return out


def _kernels(x: Array) -> Any | None:
    small = x.shape[0] * x.shape[1] * x.shape[1] < _WORTH_A_KERNEL
    if small or x.dtype.char not in "fdFD" or not x.dtype.isnative:
        return None
    return compiled.family(FAMILY, x.dtype)


class _Work:
    """What the three functions share: the panel, its cut, and the call of a kernel on each tile of a task."""

    def __init__(self, x: Array, threads: int) -> None:
        self.x, self.threads = x, threads
        self.m, self.n = x.shape
        self.plan = _Plan(x.shape, x.dtype)
        self.readable = has_contiguous_rows(x) and x.flags.aligned

    def sums(self, task: Any) -> list[Array]:
        """Return what `task(tile, sums or None)` leaves, tile by tile, in wide sums for each range of rows."""
        columns = self.n * (2 if self.x.dtype.kind == "c" else 1)
        kind = self.x.real.dtype
        narrow = kind != np.dtype(np.float64)

        def one(rows: slice) -> Array:
            total = np.zeros((columns, columns))
            part = np.zeros((columns, columns), dtype=kind) if narrow else total
            for start in range(rows.start, rows.stop, self.plan.step):
                task(slice(start, min(start + self.plan.step, rows.stop)), part)
                if narrow:
                    total += part
            return total

        return run(one, self.plan.ranges, self.threads)

    def tile(self, rows: slice) -> Array:
        """Return rows of the panel, contiguous and real."""
        return real_view(
            self.x[rows] if self.readable else np.ascontiguousarray(self.x[rows], self.x.dtype.newbyteorder("="))
        )


def gram(x: Array, threads: int) -> Array:
    """Return X^H X, Hermitian to the bit, in float64 or complex128."""
    kernels = _kernels(x)
    if kernels is None:
        return _plain_gram(x, threads)
    work = _Work(x, threads)
    like, size, plan = x.real.dtype.type(0), x.real.itemsize, work.plan
    width = 3 * kernels.VECTOR_BYTES // size

    def task(rows: slice, sums: Array) -> None:
        tile = work.tile(rows)
        kernels.gram(
            like, size, tile.ctypes.data, row_stride(tile), *tile.shape, sums.ctypes.data, len(sums), 0, plan.group,
            width, 1,
        )  # fmt: skip

    return joined_gram(_added(work.sums(task)), x.dtype)


def times_triangle(x: Array, triangle: Array, threads: int, *, out: Array | None = None, squared: bool = True) -> Any:
    """Return X B for an upper triangle B, C-ordered, and its Gram matrix (None unless `squared`).

    Parameters
    ----------
    x : array, shape (p, k)
    triangle : array, shape (k, k)
        What stands below the diagonal must be zero.
    threads : int
    out : array, shape (p, k), or None
        C-ordered; X itself to overwrite it.
    squared : bool
        Whether the Gram matrix is wanted.
    """
    triangle = np.asarray(triangle, dtype=x.dtype.newbyteorder("="))
    kernels = _kernels(x)
    out = np.empty(x.shape, dtype=triangle.dtype) if out is None else out
    if kernels is None:
        return out, _plain_map(lambda tile: tile @ triangle, x, out, threads, squared)
    work, b = _Work(x, threads), doubled(triangle)
    like, size, plan, target = x.real.dtype.type(0), x.real.itemsize, work.plan, real_view(out)
    width = 3 * kernels.VECTOR_BYTES // size

    def task(rows: slice, sums: Array | None) -> None:
        tile, there = work.tile(rows), target[rows]
        kernels.multiplied(
            like, size, tile.ctypes.data, row_stride(tile), *tile.shape, b.ctypes.data, b.shape[1], there.ctypes.data,
            target.shape[1], *_place(sums, b), plan.group, width, 1,
        )  # fmt: skip

    return out, _finished(work, task, squared)


def times_inverse(x: Array, triangle: Array, threads: int, *, out: Array | None = None, squared: bool = True) -> Any:
    """Return X R^{-1} for an upper triangle R by substitution, C-ordered, and its Gram matrix (None unless `squared`).

    Every row is backward stable, however ill-conditioned R is.  The kernels multiply with the inverses of small
    blocks on the diagonal of R, where these are so well-conditioned that this is as good; else it is up to LAPACK.
    `out` has contiguous rows and shares no memory with X.
    """
    triangle = np.triu(np.asarray(triangle, dtype=x.dtype.newbyteorder("=")))
    kernels = _kernels(x)
    t = None if kernels is None else _partly_inverted(triangle, kernels.SMALL)
    out = np.empty(x.shape, dtype=triangle.dtype) if out is None else out
    if kernels is None or t is None:
        return out, _plain_map(lambda tile: _solved(tile, triangle), x, out, threads, squared)
    work = _Work(x, threads)
    like, size, plan, target = x.real.dtype.type(0), x.real.itemsize, work.plan, real_view(out)
    width = 3 * kernels.VECTOR_BYTES // size

    def task(rows: slice, sums: Array | None) -> None:
        tile, there = work.tile(rows), target[rows]
        kernels.conditioned(
            like, size, tile.ctypes.data, row_stride(tile), *tile.shape, t.ctypes.data, t.shape[1], there.ctypes.data,
            row_stride(target), *_place(sums, t), plan.group, width, 1,
        )  # fmt: skip

    return out, _finished(work, task, squared)


def _partly_inverted(triangle: Array, real_size: int) -> Array | None:
    """Return -R with the blocks on its diagonal inverted, or None where one of them is not well-conditioned."""
    size = real_size // 2 if triangle.dtype.kind == "c" else real_size
    out = -triangle
    norms = np.sqrt(np.einsum("ij,ij->j", triangle, triangle.conj()).real)
    for start in range(0, len(triangle), size):
        here = slice(start, start + size)
        block, scale = triangle[here, here], norms[here]
        try:
            inverted = np.linalg.inv(block)
        except np.linalg.LinAlgError:
            return None
        growth = (np.abs(inverted) * scale[:, None]) @ (np.abs(block) / scale)
        if not np.max(growth) <= _WELL_CONDITIONED:
            return None
        out[here, here] = inverted
    return doubled(out)


def _place(sums: Array | None, spare: Array) -> tuple[int, int]:
    return (spare.ctypes.data, 0) if sums is None else (sums.ctypes.data, len(sums))


def _finished(work: _Work, task: Any, squared: bool) -> Array | None:
    if squared:
        return joined_gram(_added(work.sums(task)), work.x.dtype)
    run(lambda rows: task(rows, None), work.plan.ranges, work.threads)
    return None


# ------------------------------------------------------------------------------------------------ plain twins
def _plain_sums(x: Array, rows: slice) -> Array:
    total = np.zeros((x.shape[1], x.shape[1]), dtype=wide_dtype(x.dtype))
    for start in range(rows.start, rows.stop, _TILE_ROWS):
        tile = np.asarray(x[start : min(start + _TILE_ROWS, rows.stop)], dtype=x.dtype.newbyteorder("="))
        total += tile.conj().T @ tile
    return total


def _plain_gram(x: Array, threads: int) -> Array:
    return hermitian(_added(run(lambda rows: _plain_sums(x, rows), _Plan(x.shape, x.dtype).ranges, threads)))


def _plain_map(change: Any, x: Array, out: Array, threads: int, squared: bool) -> Array | None:
    def task(rows: slice) -> Array | None:
        for start in range(rows.start, rows.stop, _TILE_ROWS):
            part = slice(start, min(start + _TILE_ROWS, rows.stop))
            out[part] = change(x[part])
        return _plain_sums(out, rows) if squared else None

    sums = run(task, _Plan(x.shape, x.dtype).ranges, threads)
    return hermitian(_added(sums)) if squared else None


def _solved(tile: Array, triangle: Array) -> Array:
    import scipy.linalg

    solved = scipy.linalg.solve_triangular(triangle.conj().T, tile.conj().T, lower=True, check_finite=False)
    return np.asarray(solved.conj().T)

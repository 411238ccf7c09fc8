"""Sweeps over an orthonormal basis B and a panel X: what Gram-Schmidt does with both while their rows are in cache.

    Q = (X - B C) T,   B^H Q,   Q^H Q

This is the front: the compiled kernel where the call may use it, else the plain twin, BLAS on tiles of rows, which is
its specification.  One reading of the basis serves all that is asked for.  Tasks are cut by shape alone; each has sums
of its own, which are added in order, in double precision also where a tile is multiplied in single precision.
Complex numbers ride as in `panels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.panels import FAMILY, doubled, hermitian, joined_gram, real_view, row_stride, wide_dtype
from rnla._kernels.threads import even_ranges, run
from rnla._kernels.tiled_products import has_contiguous_rows

__all__ = ["swept"]

Array = np.ndarray[Any, Any]

_TILE_ROWS = 4096  # multiplied in the panels' own precision before they are added in double precision
_PLAIN_ROWS = 1024  # of the twin's tiles
_GROUP_BYTES = 1 << 18  # of rows that stay in the cache from one product to the next
_PARTS = 16
_WORTH_A_POOL = 1 << 20  # bytes that are read
_WORTH_A_KERNEL = 50_000  # multiply-adds
_MAX_WORK = 500_000_000  # multiply-adds of a task with one product


def swept(
    basis: Array, x: Array, threads: int, *, minus: Array | None = None, triangle: Array | None = None,
    out: Array | None = None, tied: bool = True, squared: bool = True,
) -> tuple[Array | None, Array | None]:  # fmt: skip
    """Make Q = (X - B C) T, and return B^H Q in the dtype of X, and Q^H Q in double precision.

    Parameters
    ----------
    basis : array, shape (p, l)
    x : array, shape (p, k)
    threads : int
    minus : array, shape (j, k), j <= l, optional
        C, for the last j columns of B; without it nothing is taken off.
    triangle : array, shape (k, k), optional
        T, upper; without it nothing is multiplied with.
    out : array, shape (p, k), optional
        Where Q is written, with contiguous rows; it may be X.  Without it Q is not kept.
    tied, squared : bool
        Whether the first and the second result are wanted; else None.
    """
    kernels = _kernels(basis, x, out)
    if kernels is None:
        sums = _plain(basis, x, threads, minus, triangle, out, tied, squared)
    else:
        sums = _compiled(kernels, basis, x, threads, minus, triangle, out, tied, squared)
    c, g = sums
    return (None if c is None else c.astype(x.dtype.newbyteorder("="), copy=False)), g


def _kernels(basis: Array, x: Array, out: Array | None) -> Any | None:
    arrays = [basis, x] if out is None else [basis, x, out]
    if x.shape[0] * x.shape[1] * (basis.shape[1] + x.shape[1]) < _WORTH_A_KERNEL or x.dtype.char not in "fdFD":
        return None
    if any(a.dtype != x.dtype or not (a.dtype.isnative and a.flags.aligned and has_contiguous_rows(a)) for a in arrays):
        return None
    return compiled.family(FAMILY, x.dtype)


def _ranges(basis: Array, x: Array) -> list[slice]:
    rows, columns = x.shape[0], basis.shape[1] + x.shape[1]
    parts = 1 if rows * columns * x.itemsize < _WORTH_A_POOL else max(1, min(_PARTS, rows // 256))
    complex_work = 4 if x.dtype.kind == "c" else 1
    return even_ranges(rows, max(parts, -(-rows * columns * x.shape[1] * complex_work // _MAX_WORK)))


def _totals(sums: list[Any]) -> list[Any]:
    """Return the sums of all tasks, added in order."""
    totals = sums[0]
    for terms in sums[1:]:
        for total, term in zip(totals, terms, strict=True):
            if total is not None:
                total += term
    return list(totals)


def _compiled(
    kernels: Any, basis: Array, x: Array, threads: int, minus: Array | None, triangle: Array | None, out: Array | None,
    tied: bool, squared: bool,
) -> tuple[Array | None, Array | None]:  # fmt: skip
    dtype = x.dtype
    b, a = real_view(basis), real_view(x)
    q = a if out is None else real_view(out)
    size, like, n, k = a.itemsize, a.dtype.type(0), b.shape[1], a.shape[1]
    c = None if minus is None else doubled(-np.asarray(minus, dtype=dtype))
    t = None if triangle is None else doubled(np.triu(np.asarray(triangle, dtype=dtype)))
    kept = out is not None
    changed = c is not None or t is not None
    if out is not None and not changed and out is not x:  # the kernel reads Q where nothing is to be done for it
        np.copyto(out, x)
    group = max(64, min(512, _GROUP_BYTES // max(1, (n + 2 * k) * size) // 8 * 8))
    before = 0 if c is None else n - len(c)
    width, narrow = 3 * kernels.VECTOR_BYTES // size, size == 4
    ldq = row_stride(q) if kept else (k if changed else row_stride(a))

    def task(rows: slice) -> list[Array | None]:
        spare = np.empty((group, k), dtype=a.dtype) if changed and not kept else None
        z = np.zeros((n, k)) if tied else None
        g = np.zeros((k, k)) if squared else None
        parts = [None if s is None else (np.zeros(s.shape, dtype=a.dtype) if narrow else s) for s in (z, g)]
        step = _TILE_ROWS if narrow else rows.stop - rows.start
        for start in range(rows.start, rows.stop, step):
            many = min(step, rows.stop - start)
            there = (q[start:].ctypes.data, ldq, ldq) if spare is None else (spare.ctypes.data, ldq, 0)
            kernels.swept(
                like, size, b[start:].ctypes.data, row_stride(b), n, before,
                a[start:].ctypes.data, row_stride(a), many, k, *_place(c), *_place(t), *there,
                *_place(parts[0]), *_place(parts[1]), group, width, 1,
            )  # fmt: skip
            for total, part in zip((z, g), parts, strict=True):
                if narrow and total is not None:
                    total += part
        return [z, g]

    z, g = _totals(run(task, _ranges(basis, x), threads))
    if z is not None and dtype.kind == "c":
        pairs = z.view(np.complex128)
        z = pairs[0::2] - 1j * pairs[1::2]
    return z, (None if g is None else joined_gram(g, dtype))


def _place(a: Array | None) -> tuple[int, int]:
    """Return address and stride of a matrix, or of nothing."""
    return (0, 0) if a is None else (a.ctypes.data, max(1, a.shape[1]))


# ------------------------------------------------------------------------------------------------ plain twin
def _plain(
    basis: Array, x: Array, threads: int, minus: Array | None, triangle: Array | None, out: Array | None,
    tied: bool, squared: bool,
) -> tuple[Array | None, Array | None]:  # fmt: skip
    dtype, wide = x.dtype.newbyteorder("="), wide_dtype(x.dtype)
    triangle = None if triangle is None else np.triu(triangle).astype(dtype, copy=False)

    def task(rows: slice) -> list[Array | None]:
        z = np.zeros((basis.shape[1], x.shape[1]), dtype=wide) if tied else None
        g = np.zeros((x.shape[1], x.shape[1]), dtype=wide) if squared else None
        for start in range(rows.start, rows.stop, _PLAIN_ROWS):
            part = slice(start, min(start + _PLAIN_ROWS, rows.stop))
            q, b = np.asarray(x[part], dtype=dtype), np.asarray(basis[part], dtype=dtype)
            if minus is not None:
                q = q - b[:, b.shape[1] - len(minus) :] @ minus
            if triangle is not None:
                q = q @ triangle
            if out is not None:
                out[part] = q
            if z is not None:
                z += b.conj().T @ q
            if g is not None:
                g += q.conj().T @ q
        return [z, g]

    z, g = _totals(run(task, _ranges(basis, x), threads))
    return z, (None if g is None else hermitian(g))

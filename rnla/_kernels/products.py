"""Products of a large dense NumPy array with a thin one, split in fixed tasks over the pool.

This is the front: it picks the compiled kernels where the call may use them and they can read A in place, and else
the plain twin below, BLAS on each tile, which is their specification.  No task depends on the number of threads, so
the bits do not either.  Arrays that BLAS could not read in place (foreign byte order, integers, half precision, odd
strides) are converted one tile at a time, so that no copy as large as A ever exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels import compiled, tiled_products
from rnla._kernels.threads import even_ranges, run
from rnla._kernels.tiled_products import has_contiguous_rows

__all__ = [
    "adjoint_product", "has_contiguous_rows", "normal_product", "product", "readable_in_place", "subtract_product",
    "tile_ranges",
]  # fmt: skip

Array = np.ndarray[Any, Any]

FAMILY = "products"
"""The name of the kernels."""
TILE_BYTES = 1 << 23
"""Largest tile that is converted at a time."""
PARTS = 16
"""Tiles that a product is cut in where BLAS reads A in place; a multiple of usual thread counts."""
NARROW = 1024
"""Columns up to which a tall A is cut by rows for the adjoint product: slices of few columns starve BLAS."""
MAX_WORK = 2_000_000_000
"""Multiply-adds per tile at most: keeps a tile under a second, so that Ctrl-C is heard."""
_WORTH_A_KERNEL = 200_000  # multiply-adds; below, a call of BLAS costs less than finding the addresses
_FEW = 3  # columns up to which BLAS reads a vector at a time as fast


def readable_in_place(a: Array, dtype: np.dtype[Any]) -> bool:
    """Whether BLAS can read the array where it lies, in this dtype."""
    if a.dtype != dtype or not a.flags.aligned:
        return False
    step = a.itemsize
    row, column = a.strides
    rows, columns = a.shape
    return (column == step and row >= columns * step and row % step == 0) or (
        row == step and column >= rows * step and column % step == 0
    )


def tile_ranges(length: int, other: int, width: int, itemsize: int, in_place: bool) -> list[slice]:
    """Cut one side of an array of `length` by `other` in ranges fixed by the shape alone."""
    parts = 1 if length * other * max(width, 1) < 4_000_000 else PARTS
    parts = max(parts, -(-length * other * max(width, 1) // MAX_WORK))
    if not in_place:
        parts = max(parts, -(-length * other * itemsize // TILE_BYTES))
    return even_ranges(length, parts)


def _kernels(a: Array, k: int, dtype: np.dtype[Any]) -> Any | None:
    """Return the kernels, where they may be used and are worth it."""
    if k <= _FEW or a.shape[0] * a.shape[1] * k < _WORTH_A_KERNEL:
        return None
    return compiled.family(FAMILY, dtype)


def product(a: Array, x: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """Return A X, C-ordered, in `dtype`."""
    m, n = a.shape
    k = x.shape[1]
    in_place = readable_in_place(a, dtype)
    kernels = _kernels(a, k, dtype)
    if kernels is not None and in_place:
        return tiled_products.product(kernels, a, x, dtype, threads)
    x = np.asarray(x, dtype=dtype)
    out = np.empty((m, k), dtype=dtype)

    def task(rows: slice) -> None:
        tile = a[rows] if in_place else np.ascontiguousarray(a[rows], dtype=dtype)
        if kernels is not None:
            out[rows] = tiled_products.product(kernels, tile, x, dtype, 1)
        else:
            np.matmul(tile, x, out=out[rows])

    run(task, tile_ranges(m, n, k, dtype.itemsize, in_place), threads)
    return out


def adjoint_product(a: Array, y: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """Return the adjoint of A times Y, C-ordered, in `dtype`; only the thin array is conjugated."""
    m, n = a.shape
    k = y.shape[1]
    in_place = readable_in_place(a, dtype)
    kernels = _kernels(a, k, dtype)
    if kernels is not None and in_place:
        return tiled_products.adjoint_product(kernels, a, y, dtype, threads)
    y = np.asarray(y, dtype=dtype)
    if dtype.kind == "c":
        y = y.conj()
    if in_place and n <= NARROW and m >= 16 * n:
        return _narrow_adjoint_product(a, y, dtype, threads)
    out = np.empty((n, k), dtype=dtype)

    def task(columns: slice) -> None:
        tile = a[:, columns] if in_place else np.ascontiguousarray(a[:, columns], dtype=dtype)
        np.matmul(tile.T, y, out=out[columns])

    run(task, tile_ranges(n, m, k, dtype.itemsize, in_place), threads)
    if dtype.kind == "c":
        np.conj(out, out=out)
    return out


def _narrow_adjoint_product(a: Array, y: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """Return A^T Y for tall, narrow A: partial sums over fixed ranges of rows, added in order."""
    m, n = a.shape
    parts = run(lambda rows: a[rows].T @ y[rows], tile_ranges(m, n, y.shape[1], dtype.itemsize, True), threads)
    out: Array = parts[0]
    for part in parts[1:]:
        out += part
    return np.conj(out, out=out) if dtype.kind == "c" else out


def normal_product(
    a: Array, x: Array, dtype: np.dtype[Any], threads: int, squares: list[float] | None = None
) -> tuple[Array, Array]:
    """Return (the adjoint of A times A X, A X), C-ordered, for A with contiguous rows.

    The rows that stand in the cache are used for both products, so A is read from memory once; and where there is a
    list for them, the sums of their squared moduli, range of rows by range of rows, are appended to it.
    """
    kernels = _kernels(a, x.shape[1], dtype)
    if kernels is not None and readable_in_place(a, dtype) and has_contiguous_rows(a):
        return tiled_products.normal_product(kernels, a, x, dtype, threads, squares)
    m, n = a.shape
    x = np.asarray(x, dtype=dtype)
    y = np.empty((m, x.shape[1]), dtype=dtype)

    def task(group: list[slice]) -> tuple[Array, list[float]]:
        total: Array | None = None
        seen: list[float] = []
        for rows in group:
            tile = np.ascontiguousarray(a[rows], dtype=dtype)
            np.matmul(tile, x, out=y[rows])
            term = _adjoint_times(tile, y[rows])
            total = term if total is None else np.add(total, term, out=total)
            if squares is not None:
                with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # whoever asked looks at the sums
                    seen.append(float(np.vecdot(tile, tile).real.sum(dtype=np.float64)))
        assert total is not None
        return total, seen

    tiles = even_ranges(m, max(1, -(-m * n * dtype.itemsize // TILE_BYTES), -(-m * n * x.shape[1] // MAX_WORK)))
    groups = [tiles[part] for part in even_ranges(len(tiles), PARTS)]
    w = np.zeros((n, x.shape[1]), dtype=dtype)
    for term, seen in run(task, groups, threads) if m else []:
        w += term
        if squares is not None:
            squares += seen
    return w, y


def _adjoint_times(tile: Array, y: Array) -> Array:
    """Return the adjoint of a tile times Y; only the thin arrays are conjugated."""
    if tile.dtype.kind != "c":
        return tile.T @ y
    out: Array = tile.T @ y.conj()
    return np.conj(out, out=out)


def subtract_product(out: Array, a: Array, x: Array, threads: int) -> Array:
    """Subtract A X from an array of the caller's own, in place, and return it."""
    m, n = a.shape
    kernels = _kernels(a, x.shape[1], out.dtype)
    in_place = readable_in_place(a, out.dtype)
    if kernels is not None and in_place and has_contiguous_rows(a) and has_contiguous_rows(out):
        tiled_products.add_product(kernels, out, a, -x, threads)
        return out

    def task(rows: slice) -> None:
        out[rows] -= np.asarray(a[rows], dtype=out.dtype) @ x

    run(task, tile_ranges(m, n, x.shape[1], out.itemsize, in_place), threads)
    return out

"""Products of a large dense NumPy array with a thin one, split in fixed tiles over the pool.

This is the plain twin: BLAS on each tile.  Each output tile is written by one task and no tile
depends on the number of threads, so the bits do not either.  Tiles that BLAS could not read in
place (foreign byte order, integers, half precision, odd strides) are converted one at a time, so
that no copy as large as A ever exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run

__all__ = ["adjoint_product", "product", "readable_in_place", "tile_ranges"]

Array = np.ndarray[Any, Any]

TILE_BYTES = 1 << 23
"""Largest tile that is converted at a time."""
PARTS = 16
"""Tiles that a product is cut in where BLAS reads A in place; a multiple of usual thread counts."""
NARROW = 1024
"""Columns up to which a tall A is cut by rows for the adjoint product: slices of few columns starve BLAS."""
MAX_WORK = 2_000_000_000
"""Multiply-adds per tile at most: keeps a tile under a second, so that Ctrl-C is heard."""


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


def product(a: Array, x: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """Return A X, C-ordered, in `dtype`."""
    m, n = a.shape
    k = x.shape[1]
    in_place = readable_in_place(a, dtype)
    x = np.asarray(x, dtype=dtype)
    out = np.empty((m, k), dtype=dtype)

    def task(rows: slice) -> None:
        tile = a[rows] if in_place else np.ascontiguousarray(a[rows], dtype=dtype)
        np.matmul(tile, x, out=out[rows])

    run(task, tile_ranges(m, n, k, dtype.itemsize, in_place), threads)
    return out


def adjoint_product(a: Array, y: Array, dtype: np.dtype[Any], threads: int) -> Array:
    """Return the adjoint of A times Y, C-ordered, in `dtype`; only the thin array is conjugated."""
    m, n = a.shape
    k = y.shape[1]
    in_place = readable_in_place(a, dtype)
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

"""The compiled kernels on NumPy arrays: layouts, complex numbers, and the cut in tasks.

A matrix whose columns are contiguous is the transpose of one whose rows are.  A complex matrix with contiguous rows
is a real one with twice as many columns, real and imaginary parts in turn, so the real kernels serve it: they multiply
it with the rows of X and of i X in turn; and their product of its transpose with Y, seen as real too, holds in turn
the sums over real and over imaginary parts of A, of which the adjoint is the first less i times the second.

The tasks are cut by shape alone.  Where they add to the same numbers each has sums of its own, added in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnla._kernels.threads import even_ranges, run

__all__ = [
    "add_product", "adjoint_into", "adjoint_product", "has_contiguous_rows", "multiply_into", "normal_product",
    "product",
]  # fmt: skip

Array = np.ndarray[Any, Any]

_GROUP_BYTES = 1 << 20  # of rows of A in the fused kernel, which are used twice before they leave the cache
_ROWS, _DEPTH = 64, 512  # of a group of A in A X
_TALL, _WIDE = 128, 512  # of a group of A in A^T Y
_AHEAD = 32  # entries of A ahead of those at work that A^T Y fetches
_STEP = 400  # rows of A at least to a task that has sums of its own
_PARTS = 16
_BY_COLUMNS = 2048  # columns from which on the tasks of A^T Y are ranges of them
_WORTH_A_TASK = 4_000_000  # multiply-adds; a core takes 0.07 milliseconds for them
_MAX_WORK = 2_000_000_000  # multiply-adds of a task: keeps it under a second, so that Ctrl-C is heard


class _Rows:
    """A matrix with contiguous rows, as the kernels see it: real, by address."""

    __slots__ = ("address", "keep", "kind", "like", "m", "n", "size", "stride")

    def __init__(self, a: Array) -> None:
        real = a.view(a.real.dtype) if a.dtype.kind == "c" else a
        self.keep = real
        self.m, self.n = real.shape
        self.kind, self.size = real.dtype, real.itemsize
        self.like = real.dtype.type(0)
        self.address = real.ctypes.data
        self.stride = _stride(real)


def _stride(a: Array) -> int:
    # NumPy gives any stride to an axis of length 1.
    return a.strides[0] // a.itemsize if a.shape[0] > 1 else a.shape[1]


def has_contiguous_rows(a: Array) -> bool:
    """Whether each row lies in one piece and the rows follow each other without overlap."""
    one_piece = a.shape[1] == 1 or a.strides[1] == a.itemsize
    return bool(one_piece and (a.shape[0] == 1 or a.strides[0] >= a.shape[1] * a.itemsize))


def _thin(x: Array, dtype: Any) -> Array:
    """Return a thin array with contiguous rows in the dtype of the kernels, complex numbers as pairs."""
    x = np.asarray(x, dtype=dtype)
    if not (has_contiguous_rows(x) and x.flags.aligned):
        x = np.ascontiguousarray(x)
    return x.view(x.real.dtype) if x.dtype.kind == "c" else x


def _ranges(length: int, parts: int, step: int = 8) -> list[slice]:
    """Cut a length in parts along multiples of a step."""
    blocks = even_ranges(-(-length // step), parts)
    return [slice(b.start * step, min(b.stop * step, length)) for b in blocks]


def _tasks(work: int) -> int:
    """Return how many tasks so many multiply-adds are cut in: each is worth the waking of a thread."""
    return max(1 << min(_PARTS, work // _WORTH_A_TASK or 1).bit_length() - 1, -(-work // _MAX_WORK))


def _multiply(kernels: Any, a: _Rows, x: Array, out: Array, add: bool, threads: int) -> None:
    k, ldx, ldy = x.shape[1], _stride(x), _stride(out)
    here, there = x.ctypes.data, out.ctypes.data

    def task(rows: slice) -> None:
        kernels.multiply(
            a.like, a.size, a.address + rows.start * a.stride * a.size, a.stride, rows.stop - rows.start, a.n,
            here, ldx, k, there + rows.start * ldy * a.size, ldy, int(add), _ROWS, _DEPTH, 1,
        )  # fmt: skip

    run(task, _ranges(a.m, _tasks(a.m * a.n * k)), threads)


def _adjoint(kernels: Any, a: _Rows, y: Array, threads: int) -> Array:
    k, ldy = y.shape[1], _stride(y)
    if a.n >= _BY_COLUMNS:
        out = np.empty((a.n, k), dtype=a.kind)

        def columns(part: slice) -> None:
            kernels.adjoint(
                a.like, a.size, a.address + part.start * a.size, a.stride, a.m, part.stop - part.start,
                y.ctypes.data, ldy, k, out.ctypes.data + part.start * k * a.size, k, 0, _TALL, _WIDE, _AHEAD, 1,
            )  # fmt: skip

        run(columns, _ranges(a.n, _tasks(a.m * a.n * k), 64), threads)
        return out
    ranges = _sums(a, k)

    def task(rows: slice, sums: Array) -> None:
        kernels.adjoint(
            a.like, a.size, a.address + rows.start * a.stride * a.size, a.stride, rows.stop - rows.start, a.n,
            y.ctypes.data + rows.start * ldy * a.size, ldy, k, sums.ctypes.data, k, 0, _TALL, _WIDE, _AHEAD, 1,
        )  # fmt: skip

    return _added(task, ranges, (a.n, k), a.kind, threads)


def multiply_into(kernels: Any, a: Array, x: Array, out: Array) -> None:
    """Set OUT to A X, on the calling thread: real arrays with contiguous rows, small enough to stay in the cache."""
    m, n = a.shape
    kernels.multiply(
        a.dtype.type(0), a.itemsize, a.ctypes.data, _stride(a), m, n, x.ctypes.data, _stride(x), x.shape[1],
        out.ctypes.data, _stride(out), 0, _ROWS, _DEPTH, 1,
    )  # fmt: skip


def adjoint_into(kernels: Any, a: Array, y: Array, out: Array, add: bool) -> None:
    """Set OUT to A^T Y, or add it there, of the same kind of arrays."""
    m, n = a.shape
    kernels.adjoint(
        a.dtype.type(0), a.itemsize, a.ctypes.data, _stride(a), m, n, y.ctypes.data, _stride(y), y.shape[1],
        out.ctypes.data, _stride(out), int(add), _TALL, _WIDE, 0, 1,
    )  # fmt: skip


def _sums(a: _Rows, k: int) -> list[slice]:
    """Return the rows of each task that has sums of its own."""
    work = a.m * a.n * k
    return _ranges(a.m, max(min(_tasks(work), a.m // _STEP), 1, -(-work // _MAX_WORK)))


def _added(task: Any, ranges: list[slice], shape: tuple[int, int], dtype: Any, threads: int) -> Array:
    """Return the sum, in order, of what ``task(range, sums)`` leaves for each range."""
    out = np.empty(shape, dtype=dtype)
    if len(ranges) == 1:
        task(ranges[0], out)
        return out
    sums = np.empty((len(ranges), *shape), dtype=dtype)
    run(lambda i: task(ranges[i], sums[i]), range(len(ranges)), threads)
    parts = even_ranges(shape[0], 1 if sums.nbytes < 1 << 20 else 8)
    run(lambda rows: np.add.reduce(sums[:, rows], axis=0, out=out[rows]), parts, threads)
    return out


def _normal(kernels: Any, a: _Rows, x: Array, y: Array, threads: int, squares: list[float] | None) -> Array:
    k, ldx, ldy = x.shape[1], _stride(x), _stride(y)
    ranges = _sums(a, k)
    totals = np.zeros(len(ranges))
    group = max(8, min(64, _GROUP_BYTES // max(1, a.n * a.size) // 8 * 8))
    wanted = {} if squares is None else {rows.start: totals[i:] for i, rows in enumerate(ranges)}

    def task(rows: slice, sums: Array) -> None:
        kernels.normal(
            a.like, a.size, a.address + rows.start * a.stride * a.size, a.stride, rows.stop - rows.start, a.n,
            x.ctypes.data, ldx, k, y.ctypes.data + rows.start * ldy * a.size, ldy, sums.ctypes.data, k,
            wanted[rows.start].ctypes.data if wanted else 0, group, _DEPTH, group * a.stride, 1,
        )  # fmt: skip

    out = _added(task, ranges, (a.n, k), a.kind, threads)
    if squares is not None:
        squares += totals.tolist()
    return out


def _doubled(x: Array, dtype: Any) -> Array:
    """Return the rows of X and of i X in turn, as real numbers: what multiplies a complex matrix seen as real."""
    rows = np.empty((x.shape[0], 2, x.shape[1]), dtype=dtype)
    rows[:, 0], rows[:, 1] = x, x * dtype.type(1j)
    return rows.reshape(-1, x.shape[1]).view(rows.real.dtype)


def _joined(sums: Array, dtype: Any, sign: int) -> Array:
    """Return sums over real parts plus (or minus) i times those over imaginary parts."""
    pairs = sums.view(dtype)
    out: Array = pairs[0::2] + dtype.type(sign * 1j) * pairs[1::2]
    return out


def product(kernels: Any, a: Array, x: Array, dtype: Any, threads: int) -> Array:
    """Return A X, C-ordered."""
    if not has_contiguous_rows(a):
        sums = _adjoint(kernels, _Rows(a.T), _thin(x, dtype), threads)
        return _joined(sums, dtype, 1) if dtype.kind == "c" else sums
    out = np.empty((a.shape[0], x.shape[1]), dtype=dtype)
    _into(kernels, a, x, out, False, threads)
    return out


def add_product(kernels: Any, out: Array, a: Array, x: Array, threads: int) -> None:
    """Add A X to an array with contiguous rows, for A with contiguous rows."""
    _into(kernels, a, x, out, True, threads)


def _into(kernels: Any, a: Array, x: Array, out: Array, add: bool, threads: int) -> None:
    dtype = out.dtype
    thin = _doubled(np.asarray(x, dtype=dtype), dtype) if dtype.kind == "c" else _thin(x, dtype)
    _multiply(kernels, _Rows(a), thin, out.view(out.real.dtype) if dtype.kind == "c" else out, add, threads)


def adjoint_product(kernels: Any, a: Array, y: Array, dtype: Any, threads: int) -> Array:
    """Return the adjoint of A times Y, C-ordered."""
    if has_contiguous_rows(a):
        sums = _adjoint(kernels, _Rows(a), _thin(y, dtype), threads)
        return _joined(sums, dtype, -1) if dtype.kind == "c" else sums
    out = np.empty((a.shape[1], y.shape[1]), dtype=dtype)
    if dtype.kind != "c":
        _into(kernels, a.T, y, out, False, threads)
        return out
    _into(kernels, a.T, np.conj(y), out, False, threads)
    return np.conj(out, out=out)


def normal_product(
    kernels: Any, a: Array, x: Array, dtype: Any, threads: int, squares: list[float] | None
) -> tuple[Array, Array]:
    """Return the adjoint of A times A X, and A X, for A with contiguous rows: A is read from memory once."""
    y = np.empty((a.shape[0], x.shape[1]), dtype=dtype)
    if dtype.kind == "c":
        thin = _doubled(np.asarray(x, dtype=dtype), dtype)
        return _joined(_normal(kernels, _Rows(a), thin, y.view(y.real.dtype), threads, squares), dtype, -1), y
    return _normal(kernels, _Rows(a), _thin(x, dtype), y, threads, squares), y

"""Outliers of a matrix against a low-rank model, replaced and counted in one reading.

    B = A where abs(A - L) < threshold, else L,   L = left @ right,

for all of A, or for chosen rows and columns of it, without a copy of these.  B is A less its outliers: what every
method of robust PCA factorizes next.  The numbers that decide when to stop come along.

Work is cut in ranges of rows that depend on the sizes alone, and the tallies are added in their order.  Kernels serve
real arrays in their own dtype with contiguous rows, or columns (of the transpose); complex arrays and other layouts
ride the plain twin.  Infinite entries lie beyond every threshold: so B has L where a caller knows nothing of A.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rnla._kernels import compiled
from rnla._kernels.threads import even_ranges, run
from rnla._kernels.tiled_products import adjoint_into, multiply_into

__all__ = ["Tally", "cleaned", "cleaned_products", "pieces", "task_ranges", "thin_products", "turned"]

Array = np.ndarray[Any, Any]

FAMILY = "thresholding"
"""The name of the kernels."""
_TASK = 1 << 16
"""Entries of a task at most, so that its block stays in the second cache."""
_PARTS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """What was seen on the way.

    Attributes
    ----------
    clean : float
        Sum of the squares of A - L where it is under the threshold.
    squares : float
        Sum of the squares of B; not finite where A is NaN, or infinite and no outlier.
    outliers : int
        Entries at the threshold and beyond.
    largest : float
        Largest modulus of A - L.
    """

    clean: float
    squares: float
    outliers: int
    largest: float

    @classmethod
    def of(cls, parts: Any) -> Tally:
        """Return the tally of rows (clean, squares, outliers, largest), added in order."""
        table = np.asarray(parts, dtype=np.float64).reshape(-1, 4)
        clean, squares, outliers = table[:, :3].sum(axis=0) if len(table) else np.zeros(3)
        return cls(float(clean), float(squares), int(outliers), float(table[:, 3].max(initial=0.0)))


def cleaned(
    a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float, threads: int
) -> tuple[Array, Tally]:
    """Return B for chosen rows and columns of A, and the tally.

    Parameters
    ----------
    a : numpy.ndarray, shape (m, n)
    rows, columns : numpy.ndarray of int64, or None
        None takes all, in order.
    left, right : numpy.ndarray, shapes (number of rows, r) and (r, number of columns)
    threshold : float
    threads : int
    """
    if turned(a):  # the same of the transposed, which lies in rows
        out, tally = cleaned(a.T, columns, rows, right.T, left.T, threshold, threads)
        return out.T, tally
    k = a.shape[0] if rows is None else len(rows)
    n = a.shape[1] if columns is None else len(columns)
    out, whole = np.empty((k, n), dtype=a.dtype), slice(0, n)
    piece = pieces(a, rows, columns, left, right, threshold)
    tallies = run(lambda part: piece(part, whole, out[part]), task_ranges(k, n), threads)
    return out, Tally.of(tallies)


def cleaned_products(
    a: Array, left: Array, right: Array, threshold: float, u: Array, v: Array, threads: int
) -> tuple[Array, Array, Tally]:
    """Return B V, the adjoint of B times U, and the tally, in one reading of A; B is never whole.

    Parameters
    ----------
    a : numpy.ndarray, shape (m, n)
    left, right : numpy.ndarray, shapes (m, r) and (r, n)
    threshold : float
    u, v : numpy.ndarray, shapes (m, k) and (n, k)
    threads : int
    """
    if turned(a):
        backward, forward, tally = cleaned_products(a.T, right.T, left.T, threshold, v, u, threads)
        return forward, backward, tally
    m, n = a.shape
    whole, piece, (multiply, adjoint) = slice(0, n), pieces(a, None, None, left, right, threshold), thin_products(a)
    u, v = np.ascontiguousarray(u, dtype=a.dtype), np.ascontiguousarray(v, dtype=a.dtype)
    forward = np.empty((m, v.shape[1]), dtype=a.dtype)

    def task(group: slice) -> tuple[Array, list[tuple[float, ...]]]:
        backward, tallies = np.zeros((n, u.shape[1]), dtype=a.dtype), []
        parts = task_ranges(group.stop - group.start, n)
        room = np.empty((max((part.stop - part.start for part in parts), default=0), n), dtype=a.dtype)
        for each in parts:
            part = slice(group.start + each.start, group.start + each.stop)
            block = room[: part.stop - part.start]
            tallies.append(piece(part, whole, block))
            multiply(block, v, forward[part])
            adjoint(block, u[part], backward, True)
        return backward, tallies

    found = run(task, even_ranges(m, _PARTS), threads)
    total = found[0][0]
    for backward, _ in found[1:]:
        total = total + backward
    return forward, total, Tally.of([each for _, tallies in found for each in tallies])


def task_ranges(k: int, n: int) -> list[slice]:
    """Cut k lines of n entries in tasks."""
    return even_ranges(k, max(_PARTS if k * n > _TASK else 1, -(-k * n // _TASK)))


def thin_products(a: Array) -> tuple[Callable[[Array, Array, Array], Any], Callable[[Array, Array, Array, bool], Any]]:
    """Return what sets OUT to BLOCK X, and what sets it to the adjoint of BLOCK times Y or adds that, for blocks of B.

    BLAS takes three times as long for blocks that the cache holds and for few columns.
    """
    kernels = compiled.family("products", a.dtype) if a.dtype.char in "fd" and a.dtype.isnative else None
    if kernels is not None:
        return functools.partial(multiply_into, kernels), functools.partial(adjoint_into, kernels)

    def adjoint(block: Array, y: Array, out: Array, add: bool) -> None:
        np.add(out, block.conj().T @ y, out=out) if add else np.matmul(block.conj().T, y, out=out)

    return lambda block, x, out: np.matmul(block, x, out=out), adjoint


def pieces(
    a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float
) -> Callable[[slice, slice, Array], tuple[float, ...]]:
    """Return what puts a range of the rows and of the columns of B into an array of that shape, and tells its tally.

    Parameters
    ----------
    a, rows, columns, left, right, threshold
        As for `cleaned`; A is not `turned`.
    """
    left, right = np.ascontiguousarray(left, dtype=a.dtype), np.ascontiguousarray(right, dtype=a.dtype)
    kernels = _kernels(a)
    if kernels is not None:
        return _compiled(kernels, a, rows, columns, left, right, threshold)

    def plain(i: slice, j: slice, out: Array) -> tuple[float, ...]:
        return _plain(_taken(a, rows, columns, i, j), left[i], right[:, j], threshold, out)

    return plain


def _taken(a: Array, rows: Array | None, columns: Array | None, i: slice, j: slice) -> Array:
    if columns is None:
        return a[i, j] if rows is None else a[rows[i], j]
    block = a[i] if rows is None else a[rows[i]]
    # The faster one copies all of an array whose rows are not contiguous.
    return np.take(block, columns[j], axis=1) if block.flags.c_contiguous and rows is None else block[:, columns[j]]


def _plain(block: Array, left: Array, right: Array, threshold: float, out: Array) -> tuple[float, ...]:
    model = left @ right
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(block - model)
        beyond = gap >= threshold
        np.copyto(out, np.where(beyond, model, block))
        squares = float((np.abs(out) ** 2).sum(dtype=np.float64))
        clean = float((np.where(beyond, 0, gap) ** 2).sum(dtype=np.float64))
    return clean, squares, int(np.count_nonzero(beyond)), float(np.fmax.reduce(gap, axis=None, initial=0.0))


def _compiled(
    kernels: Any, a: Array, rows: Array | None, columns: Array | None, left: Array, right: Array, threshold: float
) -> Callable[[slice, slice, Array], tuple[float, ...]]:
    """Return the same by the kernel.

    Addresses are asked for once: NumPy takes as long to tell one as the kernel for a few hundred entries.
    """
    like, item, level = a.dtype.type(0), a.itemsize, a.dtype.type(threshold)
    which = _index(np.arange(a.shape[0]) if rows is None else rows)
    picked = which if columns is None else _index(columns)
    source, lda, r, ldr = a.ctypes.data, a.strides[0] // item, left.shape[1], right.shape[1]
    wheres, others, lefts, rights = which.ctypes.data, picked.ctypes.data, left.ctypes.data, right.ctypes.data
    keep = (which, picked, left, right)  # alive as long as their addresses are used

    def piece(i: slice, j: slice, out: Array) -> tuple[float, ...]:
        assert keep
        tally, work = np.zeros(4), np.empty(kernels.SLOTS * kernels.CHUNK, dtype=a.dtype)
        begin, other = (source + j.start * item, others) if columns is None else (source, others + 8 * j.start)
        kernels.replace(
            like, item, begin, lda, i.stop - i.start, j.stop - j.start, wheres + 8 * i.start, other, 1,
            0 if columns is None else 1, lefts + i.start * r * item, r, rights + j.start * item, ldr, level,
            out.ctypes.data, out.strides[0] // item, work.ctypes.data, tally.ctypes.data,
        )  # fmt: skip
        return tuple(tally.tolist())

    return piece


def _index(where: Array) -> Array:
    return np.ascontiguousarray(where, dtype=np.int64)


def turned(a: Array) -> bool:
    """Whether a real array lies in columns, so that the kernels can read its transpose, and they may be used."""
    return a.shape[0] > 1 and a.shape[1] > 1 and a.strides[1] != a.itemsize and _kernels(a.T) is not None


def _kernels(a: Array) -> Any | None:
    """Return the kernels, where they may be used and can read A in place."""
    fits = (
        a.dtype.char in "fd" and a.dtype.isnative and a.flags.aligned
        and (a.shape[1] <= 1 or a.strides[1] == a.itemsize) and a.strides[0] % a.itemsize == 0
    )  # fmt: skip
    return compiled.family(FAMILY, a.dtype) if fits else None
